package workspace_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// oneLimited bounds one tenant's storage.
type oneLimited struct {
	id   string
	most int64
}

func (l oneLimited) MaxStorage(id string) (int64, string) {
	if id == l.id {
		return l.most, "free"
	}
	return 0, "enterprise"
}

// Files go up to what the plan allows and no further, however many come at once; another tenant's are its own matter.
func TestStorageQuota(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limited, err := workspace.New(workspace.Config{
		Jobs: b.jobs, Files: b.files, Clock: b.clock.Now, Quota: oneLimited{b.acme.Tenant().ID, 10},
	})
	require.NoError(t, err)
	acme, globex := b.home(t, b.acme), b.home(t, b.globex)
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = limited.CreateAttachment(t.Context(), b.acme, acme.ID, "a.txt", strings.NewReader("1234"))
		})
	}
	wg.Wait()
	stored := 0
	for _, err := range errs {
		if err == nil {
			stored++
			continue
		}
		require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, `The plan "free" allows 10 bytes of files, and`)
	}
	require.Equal(t, 2, stored)
	require.Len(t, b.lying(t, b.acme), 2, "what was refused leaves no file")
	_, err = limited.CreateAttachment(t.Context(), b.globex, globex.ID, "a.txt", strings.NewReader("12345678901"))
	require.NoError(t, err)

	page, err := limited.ListAttachments(t.Context(), b.acme, acme.ID, workspace.PageRequest{})
	require.NoError(t, err)
	require.NoError(t, limited.DeleteAttachment(t.Context(), b.acme, page.Items[0].ID))
	_, err = limited.CreateAttachment(t.Context(), b.acme, acme.ID, "a.txt", strings.NewReader("123456"))
	require.NoError(t, err, "what was deleted is room again")
}

// Of two that would both take the last room the second waits for the first, and sees what it has taken.
func TestStorageQuota_Waits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limited, err := workspace.New(workspace.Config{
		Jobs: b.jobs, Files: b.files, Clock: b.clock.Now, Quota: oneLimited{b.acme.Tenant().ID, 10},
	})
	require.NoError(t, err)
	task := b.home(t, b.acme)
	second := make(chan error, 1)
	require.NoError(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO attachments (id, task_id, file_name, content_type, size_bytes, sha256, storage_key)
VALUES (gen_random_uuid(), $1, 'first', 'text/plain', 8, sha256(''), 'first')`, task.ID)
		if err != nil {
			return err
		}
		go func() {
			_, err := limited.CreateAttachment(t.Context(), b.acme, task.ID, "a.txt", strings.NewReader("1234"))
			second <- err
		}()
		require.Eventually(t, func() bool {
			var waits bool
			err := b.db.Owner.QueryRow(t.Context(), `select exists (select from pg_locks where not granted
				and database = (select oid from pg_database where datname = current_database()))`).Scan(&waits)
			return err == nil && (waits || len(second) > 0)
		}, 30*time.Second, time.Millisecond)
		return nil
	}))
	err = <-second
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "8 are stored")
}
