package workspace_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// home makes a task to attach files to.
func (b *bundle) home(t *testing.T, scope tenantschema.Scope) workspace.Task {
	t.Helper()
	return b.task(t, scope, workspace.NewTask{ProjectID: b.project(t, scope, "Attic").ID, Title: "Sweep"})
}

func (b *bundle) attach(t *testing.T, scope tenantschema.Scope, task uuid.UUID, name, content string) workspace.Attachment {
	t.Helper()
	a, err := b.CreateAttachment(t.Context(), scope, task, name, strings.NewReader(content))
	require.NoError(t, err)
	return a
}

// lying gives the files of the tenant on disk, without its directory.
func (b *bundle) lying(t *testing.T, scope tenantschema.Scope) (found []string) {
	t.Helper()
	home := filepath.Join(b.dir, scope.Tenant().Schema.String())
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, strings.TrimPrefix(path, home+"/"))
		}
		return err
	})
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return found
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task := b.home(t, b.acme)
	a := b.attach(t, b.acme, task.ID, " Plän.txt ", "hello")
	sum := sha256.Sum256([]byte("hello"))
	require.Equal(t, workspace.Attachment{
		ID: a.ID, TaskID: task.ID, FileName: "Plän.txt", ContentType: "text/plain; charset=utf-8", SizeBytes: 5,
		SHA256: hex.EncodeToString(sum[:]), CreatedAt: b.clock.Now(),
	}, a)
	got, err := b.GetAttachment(t.Context(), b.acme, a.ID)
	require.NoError(t, err)
	require.Equal(t, a, got)
	require.Empty(t, b.jobs.due, "no picture, no thumbnail")
	empty := b.attach(t, b.acme, task.ID, "page.html", "")
	html := b.attach(t, b.acme, task.ID, "looks.png", "<html><script>")
	require.Equal(t, "text/html; charset=utf-8", html.ContentType)

	page, err := b.ListAttachments(t.Context(), b.acme, task.ID, workspace.PageRequest{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, []workspace.Attachment{html, empty}, page.Items)
	page, err = b.ListAttachments(t.Context(), b.acme, task.ID, workspace.PageRequest{Cursor: page.Next})
	require.NoError(t, err)
	require.Equal(t, []workspace.Attachment{a}, page.Items)
	_, err = b.ListAttachments(t.Context(), b.acme, unknownID(t), workspace.PageRequest{})
	requireNotFound(t, err)
	_, err = b.ListAttachments(t.Context(), b.acme, task.ID, workspace.PageRequest{Limit: 101})
	requireInvalid(t, err, "limit")

	file, err := b.OpenAttachment(t.Context(), b.acme, a.ID)
	require.NoError(t, err)
	text, err := io.ReadAll(file.Content)
	require.NoError(t, errors.Join(err, file.Content.Close()))
	require.Equal(t, []string{"hello", "Plän.txt", a.ContentType, a.SHA256}, []string{string(text), file.Name, file.ContentType, file.Tag})
	_, err = b.OpenThumbnail(t.Context(), b.acme, a.ID)
	requireNotFound(t, err)

	require.NoError(t, b.DeleteAttachment(t.Context(), b.acme, a.ID))
	requireNotFound(t, b.DeleteAttachment(t.Context(), b.acme, a.ID))
	_, err = b.OpenAttachment(t.Context(), b.acme, a.ID)
	requireNotFound(t, err)
	require.ElementsMatch(t, []string{"attachments/" + empty.ID.String(), "attachments/" + html.ID.String()}, b.lying(t, b.acme))

	require.NoError(t, os.Remove(filepath.Join(b.dir, b.acme.Tenant().Schema.String(), "attachments", html.ID.String())))
	_, err = b.OpenAttachment(t.Context(), b.acme, html.ID)
	require.ErrorContains(t, err, "is lost", "that is our fault, and no 404")
}

// What is not accepted, or comes to nothing half-way, leaves neither row nor file nor job.
func TestAttachmentIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task := b.home(t, b.acme)
	gone := b.home(t, b.acme)
	jobs := b.queued(t)
	create := func(task uuid.UUID, name string, content io.Reader) error {
		_, err := b.CreateAttachment(t.Context(), b.acme, task, name, content)
		return err
	}
	for _, name := range []string{"", " ", "a/b", `a\b`, "..", ".", "a\x00", "a\nb", "\xff", strings.Repeat("x", 256)} {
		requireInvalid(t, create(task.ID, name, strings.NewReader("x")), "name")
	}
	require.NoError(t, create(task.ID, strings.Repeat("ä", 255), strings.NewReader("x")))
	kept := b.lying(t, b.acme)
	requireNotFound(t, create(unknownID(t), "a", iotest.ErrReader(errors.New("read although there is no task"))))
	requireInvalid(t, create(task.ID, "a", strings.NewReader(strings.Repeat("x", 1<<20+1))), "content")
	cut := errors.New("the line was cut")
	require.ErrorIs(t, create(task.ID, "a", iotest.ErrReader(cut)), cut)
	require.ErrorIs(t, create(task.ID, "a", io.MultiReader(strings.NewReader(strings.Repeat("x", 5000)), iotest.ErrReader(cut))), cut)

	// The task goes while its file comes.
	var err error
	going := readFunc(func([]byte) (int, error) {
		err = b.DeleteTask(t.Context(), b.acme, gone.ID)
		return 0, io.EOF
	})
	requireNotFound(t, create(gone.ID, "a", io.MultiReader(strings.NewReader("x"), going)))
	require.NoError(t, err)

	// The job cannot be enqueued.
	tooBad := errors.New("no queue")
	b.jobs.failWith(tooBad)
	require.ErrorIs(t, create(task.ID, "a.png", strings.NewReader(drawn(t, 2, 2))), tooBad)
	b.jobs.failWith(nil)

	require.Equal(t, kept, b.lying(t, b.acme))
	page, err := b.ListAttachments(t.Context(), b.acme, task.ID, workspace.PageRequest{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, jobs+1, b.queued(t), "that of the deletion")
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// Files go with their task, when they are swept; what is young may still get its row.
func TestSweepFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task, other := b.home(t, b.acme), b.home(t, b.acme)
	gone := b.attach(t, b.acme, task.ID, "gone", "x")
	kept := b.attach(t, b.acme, other.ID, "kept", "x")
	for _, a := range []workspace.Attachment{gone, kept} {
		_, err := b.files.Put(t.Context(), b.acme.Tenant().Schema, "thumbnails/"+a.ID.String(), strings.NewReader("x"), 1)
		require.NoError(t, err)
	}
	foreign := b.attach(t, b.globex, b.home(t, b.globex).ID, "a", "globex's")
	_, err := b.files.Put(t.Context(), b.acme.Tenant().Schema, "exports/of-a-later-version", strings.NewReader("x"), 1)
	require.NoError(t, err)
	require.NoError(t, b.DeleteTask(t.Context(), b.acme, task.ID))
	require.Len(t, b.lying(t, b.acme), 5)

	b.clock.advance(time.Since(b.clock.Now()) + 23*time.Hour)
	ended := b.work(t, b.Service)
	sweep := func() {
		require.NoError(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			// The one before may still be on its way out of the queue.
			_, err := b.jobs.queue.Enqueue(t.Context(), tx, workspace.SweepFiles{}, job.Opts{Unique: unknownID(t).String()})
			return err
		}))
		next(t, ended, "workspace.sweep_files completed")
	}
	sweep()
	require.Len(t, b.lying(t, b.acme), 5, "younger than a day")
	b.clock.advance(2 * time.Hour)
	sweep()
	require.ElementsMatch(t, []string{
		"attachments/" + kept.ID.String(), "thumbnails/" + kept.ID.String(), "exports/of-a-later-version",
	}, b.lying(t, b.acme))
	require.Equal(t, []string{"attachments/" + foreign.ID.String()}, b.lying(t, b.globex))
}

// Ids are no secret. Those of acme's files are nothing at globex, and neither has the other's path.
func TestAttachmentsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task := b.home(t, b.acme)
	a := b.attach(t, b.acme, task.ID, "secret.png", drawn(t, 9, 9))
	due := workspace.ThumbnailDue{AttachmentID: a.ID}
	require.NoError(t, b.MakeThumbnail(t.Context(), b.acme, due))
	own := b.attach(t, b.globex, b.home(t, b.globex).ID, "own", "x")

	_, err := b.CreateAttachment(t.Context(), b.globex, task.ID, "a", strings.NewReader("x"))
	requireNotFound(t, err)
	_, err = b.ListAttachments(t.Context(), b.globex, task.ID, workspace.PageRequest{})
	requireNotFound(t, err)
	_, err = b.GetAttachment(t.Context(), b.globex, a.ID)
	requireNotFound(t, err)
	_, err = b.OpenAttachment(t.Context(), b.globex, a.ID)
	requireNotFound(t, err)
	_, err = b.OpenThumbnail(t.Context(), b.globex, a.ID)
	requireNotFound(t, err)
	requireNotFound(t, b.DeleteAttachment(t.Context(), b.globex, a.ID))

	ended := b.work(t, b.Service)
	next(t, ended, "workspace.thumbnail completed")
	require.NoError(t, b.globex.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		_, err := b.jobs.queue.Enqueue(t.Context(), tx, due, due.JobOpts())
		return err
	}))
	next(t, ended, "workspace.thumbnail cancelled")
	require.Equal(t, []string{"attachments/" + own.ID.String()}, b.lying(t, b.globex))
	require.ElementsMatch(t, []string{"attachments/" + a.ID.String(), "thumbnails/" + a.ID.String()}, b.lying(t, b.acme))
}
