package mail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Filed is a mail that [Files] hold.
type Filed struct {
	ID uuid.UUID
	// Tenant is the schema's name.
	Tenant string
	// Headers are all that the mail has, decoded, in the order of their names.
	Headers []Header
	Text    string
	// HTML is as it came: not to be trusted.
	HTML string
}

// Header is a line of a mail's head.
type Header struct{ Name, Value string }

// Get gives the first value of a header, or nothing.
func (m Filed) Get(name string) string {
	for _, h := range m.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// List gives the newest mails of all tenants, newest first, at most limit.
func (f *Files) List(limit int) ([]Filed, error) {
	all, err := f.ids()
	if err != nil {
		return nil, fmt.Errorf("mail: list files: %w", err)
	}
	// Ids are UUIDv7: their order is that of time.
	slices.SortFunc(all, func(a, b Filed) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	var found []Filed
	for _, m := range all[:min(limit, len(all))] {
		m, err = f.read(m)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Removed meanwhile.
		}
		if err != nil {
			return nil, fmt.Errorf("mail: list file %s of tenant %s: %w", m.ID, m.Tenant, err)
		}
		found = append(found, m)
	}
	return found, nil
}

// Open gives a mail of any tenant. The error is apperr.NotFound if there is none with that id.
func (f *Files) Open(id uuid.UUID) (Filed, error) {
	all, err := f.ids()
	if err != nil {
		return Filed{}, fmt.Errorf("mail: open file: %w", err)
	}
	i := slices.IndexFunc(all, func(m Filed) bool { return m.ID == id })
	if i < 0 {
		return Filed{}, apperr.New(apperr.NotFound, "There is no mail %s.", id)
	}
	m, err := f.read(all[i])
	if err != nil {
		return Filed{}, fmt.Errorf("mail: open file %s of tenant %s: %w", id, all[i].Tenant, err)
	}
	return m, nil
}

// ids gives all mails that are whole, unread.
func (f *Files) ids() ([]Filed, error) {
	tenants, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var found []Filed
	for _, tenant := range tenants {
		if _, err = tenantschema.ParseName(tenant.Name()); err != nil {
			continue // Not ours.
		}
		entries, err := os.ReadDir(filepath.Join(f.dir, tenant.Name(), "new"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range entries {
			if id, err := uuid.Parse(strings.TrimSuffix(entry.Name(), ".eml")); err == nil && entry.Name() == id.String()+".eml" {
				found = append(found, Filed{ID: id, Tenant: tenant.Name()})
			}
		}
	}
	return found, nil
}

// read gives m with what its file holds.
func (f *Files) read(m Filed) (Filed, error) {
	tenant, err := tenantschema.ParseName(m.Tenant)
	if err != nil {
		return m, err
	}
	content, err := os.ReadFile(f.path(tenant, m.ID))
	if err != nil {
		return m, err
	}
	msg, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return m, err
	}
	for name, values := range msg.Header {
		for _, v := range values {
			if decoded, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
				v = decoded
			}
			m.Headers = append(m.Headers, Header{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(m.Headers, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	err = readPart(&m, msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
	return m, err
}

// readPart takes into m the texts of a part, or out of the parts that it is made of: of what [Outgoing] composes, and nothing else.
func readPart(m *Filed, contentType, encoding string, body io.Reader) error {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return err
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextPart() // Decodes quoted-printable.
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err = readPart(m, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part); err != nil {
				return err
			}
		}
	}
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	switch kind {
	case "text/plain":
		m.Text = string(text)
	case "text/html":
		m.HTML = string(text)
	}
	return err
}
