package mail_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const link = "https://acme.example.com/do?token=abc&x=1"

// contents are one of each kind.
func contents() map[string]mail.Content {
	return map[string]mail.Content{
		"welcome":         mail.Welcome{Name: "Ada", Workspace: "Acme & Sons", URL: link, ValidFor: 48 * time.Hour},
		"invitation":      mail.Invitation{Inviter: "Bob", Workspace: "Acme & Sons", URL: link, ValidFor: 7 * 24 * time.Hour},
		"password_reset":  mail.PasswordReset{Name: "Ada", Workspace: "Acme & Sons", URL: link, ValidFor: time.Hour},
		"security_notice": mail.SecurityNotice{Name: "Ada", Workspace: "Acme & Sons", What: "Your password was changed.", URL: link},
		"daily_report":    mail.DailyReport{Workspace: "Acme & Sons", Day: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), URL: link},
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	to := mail.Address{Address: "ada@example.com"}
	for kind, content := range contents() {
		m, err := b.Render(to, content)
		require.NoError(t, err, kind)
		require.Equal(t, kind, m.Kind)
		require.Equal(t, to, m.To)
		require.Contains(t, m.Subject, "Acme & Sons")
		require.Contains(t, m.Text, "\n"+link+"\n", "a line of its own, as it is")
		require.Contains(t, m.HTML, `href="https://acme.example.com/do?token=abc&amp;x=1"`)
		require.Contains(t, m.HTML, `<html lang="en">`)
		require.Contains(t, m.HTML, "<title>"+strings.ReplaceAll(m.Subject, "&", "&amp;")+"</title>")
		require.NotContains(t, m.HTML, "<img", "nothing is loaded from anywhere")
		require.NotContains(t, m.HTML, "<no value>")
		b.send(t, b.acme, m)
	}
	entries, err := os.ReadDir("templates")
	require.NoError(t, err)
	require.Len(t, entries, len(contents())+1, "a file per kind, and the layout")

	m, err := b.Render(to, contents()["daily_report"])
	require.NoError(t, err)
	require.Equal(t, job.QueueDefault, m.Queue, "nobody waits for a report")
	require.Contains(t, m.Subject, "24 November 2026")
	for kind, span := range map[string]string{"welcome": "2 days", "invitation": "7 days", "password_reset": "1 hour"} {
		m, err := b.Render(to, contents()[kind])
		require.NoError(t, err)
		require.Equal(t, job.QueueCritical, m.Queue, kind)
		require.Contains(t, m.Text, "works for "+span+".", kind)
		require.Contains(t, m.HTML, "works for "+span+".", kind)
	}
	m, err = b.Render(to, mail.PasswordReset{URL: link, ValidFor: 30 * time.Minute})
	require.NoError(t, err)
	require.Contains(t, m.Text, "works for 30 minutes.")
}

func TestRender_BadWords(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	to := mail.Address{Address: "ada@example.com"}
	m, err := b.Render(to, mail.Welcome{Name: `<script>alert(1)</script>`, Workspace: "A", URL: link})
	require.NoError(t, err)
	require.NotContains(t, m.HTML, "<script")

	m, err = b.Render(to, mail.Invitation{Inviter: "Bob\r\nBcc: eve@example.com", Workspace: "A", URL: link})
	require.NoError(t, err)
	err = b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error { return b.Send(t.Context(), tx, m) })
	require.Equal(t, apperr.Invalid, apperr.CodeOf(err))

	for _, url := range []string{"", "/relative", "javascript:alert(1)", "//acme.example.com", "mailto:a@b.example", "https://", "http://%zz"} {
		_, err = b.Render(to, mail.Welcome{URL: url})
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err), url)
	}
}
