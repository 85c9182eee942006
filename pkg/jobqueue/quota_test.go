package jobqueue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// fewJobs bounds one tenant's waiting jobs.
type fewJobs struct {
	id   string
	most int64
}

func (f fewJobs) MaxJobs(id string) (int64, string) {
	if id == f.id {
		return f.most, "free"
	}
	return 0, "enterprise"
}

// A tenant's jobs wait up to what its plan allows, over all processes; urgent ones, and those of another tenant, are not refused for them.
func TestJobQuota(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: effects()})
	acme, globex := d.Scope("acme"), d.Scope("globex")
	open := func() *jobqueue.Client {
		c, err := jobqueue.New(jobqueue.Config{Pool: d.Control, Quota: fewJobs{acme.Tenant().ID, 3}})
		require.NoError(t, err)
		return c
	}
	one := open()
	enqueue := func(c *jobqueue.Client, s tenantschema.Scope, n int, opts job.Opts) error {
		return s.InTx(ctx, func(tx *tenantschema.Tx) error {
			args := make([]job.Args, n)
			for i := range args {
				args[i] = note{Key: "k"}
			}
			_, err := c.EnqueueMany(ctx, tx, args, opts)
			return err
		})
	}
	require.NoError(t, enqueue(one, acme, 2, job.Opts{}))
	err := enqueue(one, acme, 2, job.Opts{})
	require.Equal(t, apperr.RateLimited, apperr.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, `The plan "free" allows 3 jobs to wait, and there are 2`)
	require.NoError(t, enqueue(one, acme, 1, job.Opts{Queue: job.QueueBulk}))
	for _, c := range []*jobqueue.Client{one, open()} { // Another process counts for itself.
		require.Equal(t, apperr.RateLimited, apperr.CodeOf(enqueue(c, acme, 1, job.Opts{})))
		require.NoError(t, enqueue(c, acme, 1, job.Opts{Queue: job.QueueCritical}))
		require.NoError(t, enqueue(c, globex, 5, job.Opts{}))
	}
	_, err = d.Owner.Exec(ctx, "delete from river.river_job")
	require.NoError(t, err)
	require.NoError(t, enqueue(open(), acme, 3, job.Opts{}), "what is done is room again")
}
