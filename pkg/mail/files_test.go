package mail_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func newFiles(t *testing.T) *mail.Files {
	t.Helper()
	files, err := mail.NewFiles(filepath.Join(t.TempDir(), "mails"))
	require.NoError(t, err)
	return files
}

// names lists the files below dir.
func names(t *testing.T, dir string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return found
}

func TestFiles(t *testing.T) {
	t.Parallel()
	files := newFiles(t)
	list, err := files.List(10)
	require.NoError(t, err)
	require.Empty(t, list, "before the first mail")

	m := outgoing(t)
	require.NoError(t, files.Deliver(t.Context(), m))
	require.NoError(t, files.Deliver(t.Context(), m))
	later := m
	later.ID, later.HTML, later.Subject = uuid.MustParse("01980000-0000-7000-8000-000000000002"), "", "Plain"
	require.NoError(t, files.Deliver(t.Context(), later))
	require.Equal(t, []string{"t_acme/new/" + m.ID.String() + ".eml", "t_acme/new/" + later.ID.String() + ".eml"}, names(t, files.Dir()),
		"each once, and nothing in tmp")
	for _, name := range append(names(t, files.Dir()), "t_acme", "t_acme/new", "t_acme/tmp") {
		info, err := os.Stat(filepath.Join(files.Dir(), name))
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, "nobody else reads %s", name)
	}

	got, err := files.Open(m.ID)
	require.NoError(t, err)
	require.Equal(t, "t_acme", got.Tenant)
	require.Equal(t, m.Subject, got.Get("Subject"))
	require.Equal(t, `"Rowhouse" <house@rowhouse.test>`, got.Get("From"))
	require.Contains(t, got.Get("To"), "Ada Løvelace")
	require.Equal(t, m.Text, strings.TrimSpace(strings.ReplaceAll(got.Text, "\r\n", "\n")))
	require.Equal(t, m.HTML, strings.TrimSpace(got.HTML))
	require.Equal(t, "<"+m.MessageID+">", got.Get("Message-Id"))
	require.Empty(t, got.Get("Bcc"))

	list, err = files.List(10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, later.ID, list[0].ID, "the newest first")
	require.Empty(t, list[0].HTML)
	require.Equal(t, m.Text, strings.TrimSpace(strings.ReplaceAll(list[0].Text, "\r\n", "\n")))
	list, err = files.List(1)
	require.NoError(t, err)
	require.Len(t, list, 1)

	_, err = files.Open(uuid.Max)
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
	_, err = mail.NewFiles("")
	require.Error(t, err)
}

// A mail that is delivered again is another file in the place of the first: who reads that one reads it to its end.
func TestFiles_Whole(t *testing.T) {
	t.Parallel()
	files, m := newFiles(t), outgoing(t)
	require.NoError(t, files.Deliver(t.Context(), m))
	path := filepath.Join(files.Dir(), "t_acme", "new", m.ID.String()+".eml")
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	reader, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reader.Close()) })
	m.Subject = "Another"
	require.NoError(t, files.Deliver(t.Context(), m))
	got, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, want, got)
	again, err := files.Open(m.ID)
	require.NoError(t, err)
	require.Equal(t, "Another", again.Get("Subject"))
}

func TestFiles_NothingHalf(t *testing.T) {
	t.Parallel()
	files, m := newFiles(t), outgoing(t)
	// A directory stands where the mail would: it cannot be renamed there.
	require.NoError(t, os.MkdirAll(filepath.Join(files.Dir(), "t_acme", "new", m.ID.String()+".eml", "x"), 0o700))
	require.Error(t, files.Deliver(t.Context(), m))
	require.Empty(t, names(t, files.Dir()), "what failed leaves nothing")
}

func TestFiles_TenantsAreApart(t *testing.T) {
	t.Parallel()
	files := newFiles(t)
	b := setup(t, files)
	ours, theirs := b.send(t, b.acme, secretMail()), b.send(t, b.globex, secretMail())
	require.NoError(t, b.deliver(t.Context(), b.acme, ours))
	require.NoError(t, b.deliver(t.Context(), b.globex, theirs))
	require.ElementsMatch(t, []string{
		b.acme.Tenant().Schema.String() + "/new/" + ours.String() + ".eml", b.globex.Tenant().Schema.String() + "/new/" + theirs.String() + ".eml",
	}, names(t, files.Dir()))
	got, err := files.Open(theirs)
	require.NoError(t, err)
	require.Equal(t, b.globex.Tenant().Schema.String(), got.Tenant)
}

// No mail gets out of its tenant's directory: there is no way to write such a path, and what is no mail of ours is not read.
func TestFiles_NoWayOut(t *testing.T) {
	t.Parallel()
	files, m := newFiles(t), outgoing(t)
	for _, name := range []string{"../etc", "..", ".", "/etc", "t_acme/../x", "", "T"} {
		_, err := tenantschema.ParseName(name)
		require.Error(t, err, name)
	}
	nobody := m
	nobody.Tenant = tenantschema.Name{}
	require.ErrorIs(t, files.Deliver(t.Context(), nobody), tenantschema.ErrNoTenant)

	require.NoError(t, files.Deliver(t.Context(), m))
	content, err := os.ReadFile(filepath.Join(files.Dir(), "t_acme", "new", m.ID.String()+".eml"))
	require.NoError(t, err)
	for _, foreign := range []string{
		"t_acme/new/notes.eml", "t_acme/new/{" + m.ID.String() + "}.eml", "t_acme/tmp/" + m.ID.String() + ".1", "T-X/new/" + m.ID.String() + ".eml",
	} {
		path := filepath.Join(files.Dir(), foreign)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	list, err := files.List(10)
	require.NoError(t, err)
	require.Len(t, list, 1)
}
