package jobqueue_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// The server is killed and started again while jobs are enqueued and worked by two processes: what was acknowledged is worked, and has its
// effect once.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.OwnServer(t)
	b := setupOn(t, pgtest.NewWith(t, pgtest.Options{Server: server}))
	admin, err := pgxpool.New(t.Context(), b.AdminURL)
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	// Test servers acknowledge before they write. Here it is to count.
	_, err = admin.Exec(t.Context(), "alter database "+admin.Config().ConnConfig.Database+" set synchronous_commit to on")
	require.NoError(t, err)

	for range 2 {
		w := jobqueue.NewWorkers()
		jobqueue.Handle(w, tally)
		cfg := b.config(w)
		cfg.Metrics, cfg.JobTimeout, cfg.RescueAfter = nil, 2*time.Second, 3*time.Second
		b.start(t, cfg)
	}
	scopes := map[string]tenantschema.Scope{"acme": b.Scope("acme"), "globex": b.Scope("globex")}
	sure := map[string]string{} // The slug, by key.
	enqueue := func(n int) {
		slug, key := []string{"acme", "globex"}[n%2], strconv.Itoa(n)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := scopes[slug].InTx(ctx, func(tx *tenantschema.Tx) error {
			_, err := b.enqueuer.Enqueue(ctx, tx, note{Key: key}, job.Opts{})
			return err
		})
		if err == nil {
			sure[key] = slug
		}
	}
	for n := range 300 {
		if n == 150 {
			server.Kill()
			server.Start()
		}
		enqueue(n)
	}
	require.Greater(t, len(sure), 200)
	require.Eventually(t, func() bool {
		// What a dead connection held would be looked for half a minute later: let it be now.
		_, err := b.Owner.Exec(t.Context(), `update river.river_job set state = 'available'
			where state = 'retryable' or state = 'running' and attempted_at < now() - interval '5 seconds'`)
		if err != nil {
			return false
		}
		var left int
		err = b.Owner.QueryRow(t.Context(), "select count(*) from river.river_job where state <> 'completed'").Scan(&left)
		return err == nil && left == 0
	}, patience, 50*time.Millisecond)
	for key, slug := range sure {
		var times int
		require.NoError(t, b.Scope(slug).QueryRow(t.Context(), "SELECT count(*) FROM projects WHERE name = $1", key).Scan(&times))
		require.Equal(t, 1, times, "job %s of %s", key, slug)
	}
}

// tally has an effect that is not idempotent by itself.
func tally(ctx context.Context, s tenantschema.Scope, n note) error {
	err := s.InTx(ctx, func(tx *tenantschema.Tx) error {
		first, err := job.Once(ctx, tx, "note:"+n.Key)
		if err != nil || !first {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO projects (id, name) VALUES (gen_random_uuid(), $1)", n.Key)
		return err
	})
	if err != nil {
		return errors.Join(errors.New("tally"), err)
	}
	return nil
}
