package jobqueue_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// victimEnv makes this program a worker process, for [victim]: the owner's URL and the prefix of the roles.
const victimEnv = "JOBQUEUE_TEST_VICTIM"

// victim works jobs and never finishes one: "before" stops before its effect, "after" behind it. It says so on standard output and waits
// to be killed.
func victim() int {
	if err := runVictim(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

func runVictim() error {
	ctx := context.Background()
	url, prefix, _ := strings.Cut(os.Getenv(victimEnv), " ")
	logins, err := tenancy.NewLogins(url, pgtest.Secret, prefix)
	if err != nil {
		return err
	}
	control, err := logins.As(logins.Control())
	if err != nil {
		return err
	}
	poolConfig, err := pgxpool.ParseConfig("")
	if err != nil {
		return err
	}
	poolConfig.ConnConfig = control
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return err
	}
	catalog, err := tenancy.OpenCatalog(ctx, tenancy.CatalogConfig{Pool: pool, Logins: logins, Listen: control, Log: zap.NewNop()})
	if err != nil {
		return err
	}
	db, err := tenantschema.Open(tenantschema.Config{Connect: logins.Engine, SealKey: catalog.SealKey, PlatformRole: logins.Enqueuer()})
	if err != nil {
		return err
	}
	workers := jobqueue.NewWorkers()
	jobqueue.Handle(workers, func(ctx context.Context, s tenantschema.Scope, n note) error {
		if n.Key == "after" {
			if err := writeNote(ctx, s, n); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(os.Stdout, n.Key); err != nil {
			return err
		}
		select {}
	})
	client, err := jobqueue.New(jobqueue.Config{Workers: workers, Pool: pool, DB: db, Tenants: catalog, Log: zap.NewNop(), ID: "victim"})
	if err != nil {
		return err
	}
	if err = client.Start(ctx); err != nil {
		return err
	}
	select {}
}

func TestKilledWorkerLosesNoJobAndDoublesNoEffect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, b.acme, note{Key: "before"})
	b.enqueue(t, b.acme, note{Key: "after"})

	cmd := exec.CommandContext(t.Context(), os.Args[0])
	prefix := strings.TrimSuffix(b.Logins.Control(), "_control")
	cmd.Env = append(os.Environ(), victimEnv+"="+b.OwnerURL+" "+prefix)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	said := map[string]bool{}
	for len(said) < 2 && lines.Scan() {
		said[lines.Text()] = true
	}
	require.Equal(t, map[string]bool{"before": true, "after": true}, said)
	require.NoError(t, cmd.Process.Kill()) // SIGKILL
	require.Error(t, cmd.Wait())
	require.Equal(t, []string{"after"}, keys(t, b.acme))
	b.states(t, "running", "running")

	// Time would make the jobs stuck and end the dead process's leadership: let it have passed.
	_, err = b.Owner.Exec(t.Context(), "update river.river_job set attempted_at = attempted_at - interval '1 hour'")
	require.NoError(t, err)
	_, err = b.Owner.Exec(t.Context(), "delete from river.river_leader where leader_id = 'victim'")
	require.NoError(t, err)

	runs := make(chan string, 100)
	client := b.notes(t, func(ctx context.Context, s tenantschema.Scope, n note) error {
		runs <- n.Key
		return writeNote(ctx, s, n)
	})
	b.ear.next(t, jobqueue.OutcomeCompleted)
	b.ear.next(t, jobqueue.OutcomeCompleted)
	require.ElementsMatch(t, []string{"before", "after"}, []string{<-runs, <-runs})
	require.NoError(t, client.Stop(t.Context()))
	require.Empty(t, runs)

	require.Equal(t, []string{"after", "before"}, keys(t, b.acme))
	acme := b.Tenant("acme").ID
	require.Equal(t, []jobRow{{acme, "note", "completed", "default", 2, 25}, {acme, "note", "completed", "default", 2, 25}}, b.jobs(t))
}
