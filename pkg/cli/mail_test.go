package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// In production mails go where they are meant to, and nobody reads them on the way.
func TestMail_InProduction(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	for _, bad := range []struct {
		env  []string
		want string
	}{
		{[]string{"ROWHOUSE_MAIL_DIR="}, "mail.smtp_url"},
		{[]string{"ROWHOUSE_MAIL_SMTP_URL=smtp://u:hunter2@h", "ROWHOUSE_MAIL_FROM=a@b.example"}, "must not be set together with mail.dir"},
		{[]string{"ROWHOUSE_MAIL_DIR=", "ROWHOUSE_MAIL_SMTP_URL=smtp://u:hunter2@smtp.example"}, "mail.from"},
		{[]string{"ROWHOUSE_MAIL_DIR=", "ROWHOUSE_MAIL_SMTP_URL=http://u:hunter2@h", "ROWHOUSE_MAIL_FROM=a@b.example"}, "must begin with smtp://"},
	} {
		spoiled := newHouse(t, append(h.env, bad.env...)...)
		r := spoiled.run("work", "--admin-addr", freeAddr(t))
		require.Equal(t, 2, r.code, r.errOut)
		require.Contains(t, r.errOut, bad.want)
		require.NotContains(t, r.errOut, "hunter2")
	}
	for _, command := range []string{"serve", "work"} {
		p := h.start(command)
		response, err := http.Get("http://" + p.admin + "/mailbox")
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusNotFound, response.StatusCode, command)
	}
}

// The mails are part of what `up` keeps in its directory: a directory that holds nothing else is no stranger's.
func TestUp_FindsItsMails(t *testing.T) {
	t.Parallel()
	h := upHouse(t)
	require.NoError(t, os.MkdirAll(filepath.Join(h.dir, ".rowhouse", "mail"), 0o700))
	p := h.start("up", "--no-demo")
	require.Contains(t, fetch(t, "http://"+p.admin+"/mailbox"), "There are no mails yet")
}
