package mail

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
)

// templateFiles holds one file per kind, with the blocks "subject", "text" and "html", and the layout that surrounds the last two.
//
//go:embed templates
var templateFiles embed.FS

const layoutFile = "templates/layout.tmpl"

// Content is what a template is filled with: one of the structs below.
type Content interface {
	// kind names the template's file and the mail's kind. queue is where its delivery waits. link is where the mail leads.
	kind() string
	queue() string
	link() string
}

// Welcome asks somebody to confirm that an address is theirs.
type Welcome struct {
	// Name is the person's, Workspace the tenant's.
	Name, Workspace string
	// URL confirms the address, for as long as ValidFor.
	URL      string
	ValidFor time.Duration
}

func (Welcome) kind() string   { return "welcome" }
func (Welcome) queue() string  { return job.QueueCritical }
func (c Welcome) link() string { return c.URL }

// Invitation asks somebody to join a tenant.
type Invitation struct {
	// Inviter is the name of who invites, Workspace the tenant's.
	Inviter, Workspace string
	// URL accepts the invitation, for as long as ValidFor.
	URL      string
	ValidFor time.Duration
}

func (Invitation) kind() string   { return "invitation" }
func (Invitation) queue() string  { return job.QueueCritical }
func (c Invitation) link() string { return c.URL }

// PasswordReset lets somebody choose a new password.
type PasswordReset struct {
	// Name is the person's, Workspace the tenant's.
	Name, Workspace string
	// URL leads to the choice, for as long as ValidFor.
	URL      string
	ValidFor time.Duration
}

func (PasswordReset) kind() string   { return "password_reset" }
func (PasswordReset) queue() string  { return job.QueueCritical }
func (c PasswordReset) link() string { return c.URL }

// SecurityNotice tells somebody what changed in how they enter.
type SecurityNotice struct {
	// Name is the person's, Workspace the tenant's.
	Name, Workspace string
	// What is a sentence.
	What string
	// URL leads to the tenant.
	URL string
}

func (SecurityNotice) kind() string   { return "security_notice" }
func (SecurityNotice) queue() string  { return job.QueueCritical }
func (c SecurityNotice) link() string { return c.URL }

// DailyReport says that a report is ready.
type DailyReport struct {
	// Workspace is the tenant's name.
	Workspace string
	Day       time.Time
	// URL is where the report is.
	URL string
}

func (DailyReport) kind() string   { return "daily_report" }
func (DailyReport) queue() string  { return job.QueueDefault }
func (c DailyReport) link() string { return c.URL }

// templates are the parsed files by kind.
type templates map[string]parsedTemplate

type parsedTemplate struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// parseTemplates parses each file with the layout, twice: only the blocks for HTML may escape as HTML does.
func parseTemplates() (templates, error) {
	files, err := fs.Glob(templateFiles, "templates/*.tmpl")
	if err != nil {
		return nil, err
	}
	helpers := map[string]any{"day": showDay, "span": showSpan}
	all := templates{}
	for _, file := range files {
		if file == layoutFile {
			continue
		}
		text, err := texttemplate.New("").Funcs(helpers).Option("missingkey=error").ParseFS(templateFiles, layoutFile, file)
		if err != nil {
			return nil, err
		}
		html, err := htmltemplate.New("").Funcs(helpers).Option("missingkey=error").ParseFS(templateFiles, layoutFile, file)
		if err != nil {
			return nil, err
		}
		all[strings.TrimSuffix(path.Base(file), ".tmpl")] = parsedTemplate{text, html}
	}
	return all, nil
}

// Render makes the mail that tells somebody c. The error is apperr.Invalid if c's URL is no absolute one of http or https.
func (s *Service) Render(to Address, c Content) (Message, error) {
	if u, err := url.Parse(c.link()); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return Message{}, apperr.New(apperr.Invalid, "The mail %s needs a link such as https://acme.example.com/path.", c.kind())
	}
	t, ok := s.templates[c.kind()]
	if !ok {
		return Message{}, fmt.Errorf("mail: there is no file templates/%s.tmpl", c.kind())
	}
	m := Message{To: to, Kind: c.kind(), Queue: c.queue()}
	for _, part := range []struct {
		execute func(w io.Writer, name string, data any) error
		block   string
		into    *string
	}{
		{t.text.ExecuteTemplate, "subject", &m.Subject},
		{t.text.ExecuteTemplate, "layout.text", &m.Text},
		{t.html.ExecuteTemplate, "layout.html", &m.HTML},
	} {
		var b strings.Builder
		if err := part.execute(&b, part.block, c); err != nil {
			return Message{}, fmt.Errorf("mail: render %s: %w", c.kind(), err)
		}
		*part.into = strings.TrimSpace(b.String())
	}
	return m, nil
}

func showDay(t time.Time) string { return t.Format("2 January 2006") }

// showSpan gives d in whole hours or days, rounded down.
func showSpan(d time.Duration) string {
	n, unit := int(d.Hours()), "hour"
	if n >= 48 {
		n, unit = n/24, "day"
	}
	switch {
	case n < 1:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case n == 1:
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
