package httpapi

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"
)

const (
	pathAPI     = "/api/v1/"
	pathDocs    = "/api/docs"
	pathOpenAPI = "/api/openapi.json"
)

//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page load what this host serves and call this host; nothing inline, nothing from elsewhere.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// assetCaching: the assets are the same for every tenant and change only with the program.
const assetCaching = "public, max-age=86400"

// docs serves the description of the API and a page to read and try it.
type docs struct {
	document []byte
	index    []byte
	assets   map[string]docsAsset
}

type docsAsset struct {
	contentType string
	body        []byte
	gzipped     bool
}

func newDocs(api huma.API) (*docs, error) {
	doc, err := document(api)
	if err != nil {
		return nil, err
	}
	d := &docs{document: doc, assets: map[string]docsAsset{}}
	if d.index, err = docsFiles.ReadFile("docs/index.html"); err != nil {
		return nil, fmt.Errorf("httpapi: page of the API: %w", err)
	}
	for _, a := range []struct {
		files             fs.ReadFileFS
		file, name, ctype string
	}{
		{docsFiles, "docs/docs.js", "docs.js", "text/javascript; charset=utf-8"},
		{static.FS, "swagger-ui-bundle.js.gz", "swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
		{static.FS, "swagger-ui.css.gz", "swagger-ui.css", "text/css; charset=utf-8"},
		{static.FS, "favicon-32x32.png", "favicon-32x32.png", "image/png"},
	} {
		body, err := a.files.ReadFile(a.file)
		if err != nil {
			return nil, fmt.Errorf("httpapi: asset of the page of the API: %w", err)
		}
		d.assets[a.name] = docsAsset{contentType: a.ctype, body: body, gzipped: strings.HasSuffix(a.file, ".gz")}
	}
	return d, nil
}

// toDocs leads to the page.
func toDocs(c echo.Context) error { return c.Redirect(http.StatusFound, pathDocs) }

func (d *docs) openAPI(c echo.Context) error { return c.Blob(http.StatusOK, mimeJSON, d.document) }

func (d *docs) page(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderContentSecurityPolicy, docsPolicy)
	return c.Blob(http.StatusOK, "text/html; charset=utf-8", d.index)
}

func (d *docs) asset(c echo.Context) error {
	a, ok := d.assets[c.Param("asset")]
	if !ok {
		return echo.ErrNotFound
	}
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, assetCaching)
	if !a.gzipped {
		return c.Blob(http.StatusOK, a.contentType, a.body)
	}
	header.Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if strings.Contains(c.Request().Header.Get(echo.HeaderAcceptEncoding), "gzip") {
		header.Set(echo.HeaderContentEncoding, "gzip")
		return c.Blob(http.StatusOK, a.contentType, a.body)
	}
	plain, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return fmt.Errorf("httpapi: asset of the page of the API: %w", err)
	}
	return c.Stream(http.StatusOK, a.contentType, plain)
}
