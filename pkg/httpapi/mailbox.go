package httpapi

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"regexp"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/mail"
)

//go:embed mailbox
var mailboxFiles embed.FS

// Pages of ours may load our style sheet and show a frame of ours. The HTML of a mail may have styles within itself, and load and run nothing,
// also when it is opened outside of its frame.
const (
	mailboxPolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	mailPolicy    = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)

// mailboxLimit is how many mails the list has.
const mailboxLimit = 200

// mailbox shows what `rowhouse up` sent.
type mailbox struct {
	files *mail.Files
	log   *zap.Logger
	pages *template.Template
	style []byte
}

// addMailbox adds the mailbox's pages to mux.
func addMailbox(mux *http.ServeMux, files *mail.Files, log *zap.Logger) error {
	pages, err := template.ParseFS(mailboxFiles, "mailbox/mailbox.html")
	if err != nil {
		return fmt.Errorf("httpapi: mailbox: %w", err)
	}
	style, err := mailboxFiles.ReadFile("mailbox/mailbox.css")
	if err != nil {
		return fmt.Errorf("httpapi: mailbox: %w", err)
	}
	m := &mailbox{files: files, log: log, pages: pages, style: style}
	mux.HandleFunc("GET /mailbox", m.list)
	mux.HandleFunc("GET /mailbox/{id}", m.show)
	mux.HandleFunc("GET /mailbox/{id}/html", m.html)
	mux.HandleFunc("GET /mailbox/mailbox.css", func(w http.ResponseWriter, _ *http.Request) {
		write(w, "text/css; charset=utf-8", mailboxPolicy, m.style)
	})
	return nil
}

func (m *mailbox) list(w http.ResponseWriter, _ *http.Request) {
	mails, err := m.files.List(mailboxLimit)
	if err != nil {
		m.fail(w, err)
		return
	}
	m.render(w, "list", struct {
		Mails []mail.Filed
		Dir   string
	}{mails, m.files.Dir()})
}

func (m *mailbox) show(w http.ResponseWriter, r *http.Request) {
	found, ok := m.open(w, r)
	if !ok {
		return
	}
	m.render(w, "mail", struct {
		Mail mail.Filed
		Text []textPiece
	}{found, withLinks(found.Text)})
}

func (m *mailbox) html(w http.ResponseWriter, r *http.Request) {
	if found, ok := m.open(w, r); ok {
		write(w, "text/html; charset=utf-8", mailPolicy, []byte(found.HTML))
	}
}

// open gives the mail that is asked for, or answers that there is none.
func (m *mailbox) open(w http.ResponseWriter, r *http.Request) (mail.Filed, bool) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		http.NotFound(w, r)
		return mail.Filed{}, false
	}
	found, err := m.files.Open(id)
	switch {
	case apperr.CodeOf(err) == apperr.NotFound:
		http.NotFound(w, r)
	case err != nil:
		m.fail(w, err)
	}
	return found, err == nil
}

func (m *mailbox) render(w http.ResponseWriter, page string, data any) {
	var b bytes.Buffer
	if err := m.pages.ExecuteTemplate(&b, page, data); err != nil {
		m.fail(w, err)
		return
	}
	write(w, "text/html; charset=utf-8", mailboxPolicy, b.Bytes())
}

func (m *mailbox) fail(w http.ResponseWriter, err error) {
	m.log.Error("mailbox", zap.Error(err))
	http.Error(w, "the mailbox cannot be shown: see the log", http.StatusInternalServerError)
}

func write(w http.ResponseWriter, contentType, policy string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // Fails only when nobody listens any more.
}

// textPiece is a part of a text that is a link, or is none.
type textPiece struct {
	Text string
	Link bool
}

// withLinks cuts text where addresses of the web begin and end, so that they can be followed.
func withLinks(text string) []textPiece {
	var pieces []textPiece
	end := 0
	for _, at := range regexp.MustCompile(`https?://[^\s<>"]+`).FindAllStringIndex(text, -1) {
		pieces = append(pieces, textPiece{Text: text[end:at[0]]}, textPiece{Text: text[at[0]:at[1]], Link: true})
		end = at[1]
	}
	return append(pieces, textPiece{Text: text[end:]})
}
