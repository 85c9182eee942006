package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"
)

// assetCaching: an address names its content, so that it may be kept for ever, by anybody.
const assetCaching = "public, max-age=31536000, immutable"

// assets are the files that pages load, known by names like "app.1f2e3d4c5b6a.css".
type assets struct {
	byName map[string]asset
	paths  map[string]string // by the name in the source
}

type asset struct {
	contentType    string
	plain, gzipped []byte
}

func newAssets() (*assets, error) {
	a := &assets{byName: map[string]asset{}, paths: map[string]string{}}
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("web: read assets: %w", err)
	}
	var importing []string // Scripts that import others, which go by their new names.
	for _, entry := range entries {
		body, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("web: read assets: %w", err)
		}
		if bytes.Contains(body, []byte(importMark)) {
			importing = append(importing, entry.Name())
			continue
		}
		a.add(entry.Name(), body)
	}
	for _, name := range importing {
		body, err := files.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("web: read assets: %w", err)
		}
		text := string(body)
		for from, to := range a.paths {
			text = strings.ReplaceAll(text, importMark+from+`"`, ` from "`+to+`"`)
		}
		if strings.Contains(text, importMark) {
			return nil, fmt.Errorf("web: %s imports what is not there, or imports something itself", name)
		}
		a.add(name, []byte(text))
	}
	return a, nil
}

// importMark is how a script imports another.
const importMark = ` from "./`

func (a *assets) add(name string, body []byte) {
	ext := path.Ext(name)
	sum := sha256.Sum256(body)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	a.byName[hashed] = asset{contentType: contentType(ext), plain: body, gzipped: zipped(body)}
	a.paths[name] = "/assets/" + hashed
}

func contentType(ext string) string {
	switch ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(ext)
}

func zipped(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // Into memory: it cannot fail.
	_ = w.Close()
	return b.Bytes()
}

// path gives the address of the file with that name in the source. One that is not there is a fault of a template.
func (a *assets) path(name string) (string, error) {
	p, ok := a.paths[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return p, nil
}

// serve answers for /assets/<name> and reports whether there is such a file. It needs no tenant.
func (a *assets) serve(w http.ResponseWriter, req *http.Request, name string) bool {
	found, ok := a.byName[name]
	if !ok {
		return false
	}
	header := w.Header()
	header.Set("Content-Type", found.contentType)
	header.Set("Cache-Control", assetCaching)
	header.Set("Vary", "Accept-Encoding")
	body := found.plain
	if strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		body = found.gzipped
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // Fails only when the client hung up.
	return true
}

func (h *Pages) asset(c echo.Context) error {
	if !h.views.assets.serve(c.Response(), c.Request(), c.Param("file")) {
		return echo.ErrNotFound
	}
	return nil
}

// favicon answers browsers that ask for it of their own accord.
func (h *Pages) favicon(c echo.Context) error {
	icon, err := h.views.assets.path("icon.svg")
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusMovedPermanently, icon)
}
