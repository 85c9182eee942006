package tenancy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// victimEnv makes this program an operator, for [victim]: the owner's URL, the prefix of the roles, and a seed.
const victimEnv = "TENANCY_TEST_VICTIM"

// killSlugs are few, so that one victim meets what the one before has left.
const killSlugs = 6

// killFiles have a file outside a transaction, so that a kill may fall between two.
func killFiles() fstest.MapFS {
	return fstest.MapFS{
		"00001_a.sql": sqlFile(createA),
		"00002_b.sql": sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently if not exists a_idx on a (id);\n"),
		"00003_c.sql": sqlFile("-- +goose Up\ncreate table c (id int constraint c_pkey primary key);\n"),
	}
}

// victim keeps tenants ahead and makes, claims, changes and deletes tenants until it is killed.
func victim() int {
	if err := runVictim(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

func runVictim() error {
	ctx := context.Background()
	var url, prefix string
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(victimEnv), &url, &prefix, &seed); err != nil {
		return err
	}
	logins, err := tenancy.NewLogins(url, pgtest.Secret, prefix)
	if err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	m, err := killManager(pool, logins)
	if err != nil {
		return err
	}
	if err = pool.Ping(ctx); err != nil {
		return err
	}
	if _, err = fmt.Fprintln(os.Stdout, "ready"); err != nil {
		return err
	}
	go m.KeepWarm(ctx, tenancy.KeepWarmConfig{Want: 2, Log: zap.NewNop()})
	rng := rand.New(rand.NewPCG(seed, 0))
	for {
		slug, tier := fmt.Sprintf("tenant-%d", rng.IntN(killSlugs)), tenancy.Tiers()[rng.IntN(3)]
		switch rng.IntN(5) {
		case 0, 1:
			_, _, err = m.Create(ctx, tenancy.NewTenant{Slug: slug, Tier: string(tier)})
		case 2:
			_, err = m.SetTier(ctx, slug, tier, 0)
		default:
			_, err = m.Delete(ctx, slug)
		}
		if _, told := errors.AsType[*apperr.Error](err); err != nil && !told {
			_, _ = fmt.Fprintln(os.Stderr, err)
		}
	}
}

func killManager(pool *pgxpool.Pool, logins *tenancy.Logins) (*tenancy.Manager, error) {
	cfg, err := logins.Owner()
	if err != nil {
		return nil, err
	}
	p, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: killFiles()})
	if err != nil {
		return nil, err
	}
	return tenancy.NewManager(tenancy.ManagerConfig{
		Pool: pool, Provisioner: p, Logins: logins, CellSize: 7, RoleBlock: 2, Jobs: jobqueue.Tenancy{},
	})
}

// Whenever they are killed, those who make, claim, change and delete tenants leave nothing that is not in the catalog, and nothing that doing
// the same again does not finish.
func TestKilledOperatorsLeaveWhatCanBeFinished(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: killFiles(), Server: pgtest.OwnServer(t)}) // All its roles are ours.
	kills, least, until := 100, 20, time.Now().Add(20*time.Second)
	if testing.Short() {
		kills = least
	}
	rng := rand.New(rand.NewPCG(1, 1))
	done := 0
	for ; done < kills && (done < least || time.Now().Before(until)); done++ {
		killOne(t, d, uint64(done), time.Duration(rng.IntN(120))*time.Millisecond)
	}
	t.Logf("killed %d operators", done)

	m, err := killManager(d.Owner, d.Logins)
	require.NoError(t, err)
	for range 2 { // The second time changes nothing.
		for i := range killSlugs {
			slug := fmt.Sprintf("tenant-%d", i)
			if i%2 == 0 {
				_, err = m.Delete(ctx, slug)
				if apperr.CodeOf(err) != apperr.NotFound {
					require.NoError(t, err)
				}
			}
			_, _, err = m.Create(ctx, tenancy.NewTenant{Slug: slug})
			if apperr.CodeOf(err) == apperr.Conflict { // Its deletion was cut off.
				_, err = m.Delete(ctx, slug)
				require.NoError(t, err)
				_, _, err = m.Create(ctx, tenancy.NewTenant{Slug: slug})
			}
			require.NoError(t, err, slug)
			_, err = m.SetTier(ctx, slug, tenantschema.TierSealed, 0)
			require.NoError(t, err, slug)
		}
		fill(t, m, 2)
		requireConverged(t, d, m)
	}
}

// killOne lets a victim work for a while.
func killOne(t *testing.T, d *pgtest.DB, seed uint64, work time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", victimEnv, d.OwnerURL, strings.TrimSuffix(d.Logins.Control(), "_control"), seed))
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := bufio.NewScanner(out)
	require.True(t, line.Scan(), "the victim did not begin: %s", &errOut)
	<-time.After(work)
	require.NoError(t, cmd.Process.Kill()) // SIGKILL
	require.Error(t, cmd.Wait())
	require.Equal(t, -1, cmd.ProcessState.ExitCode(), "it ended by itself: %s", &errOut)
	if errOut.Len() > 0 {
		t.Logf("victim %d, killed after %s: %s", seed, work, &errOut)
	}
}

// requireConverged compares the server with the catalog.
func requireConverged(t *testing.T, d *pgtest.DB, m *tenancy.Manager) {
	t.Helper()
	names := func(sql string) []string {
		t.Helper()
		rows, err := d.Owner.Query(t.Context(), sql)
		require.NoError(t, err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return found
	}
	const tenants = "select schema_name from rowhouse.tenants where state <> 'deleted'"
	require.Equal(t, names(tenants+" order by 1"), names("select nspname::text from pg_namespace where nspname ~ '^t_' order by 1"))
	require.Equal(t, names(tenants+" union select 't_' || id from rowhouse.spare_roles order by 1"),
		names("select rolname::text from pg_roles where rolname ~ '^t_' order by 1"))
	require.Empty(t, names(`select rolname::text from pg_roles where rolname ~ '_t_[a-z0-9]{16}$'`), "logins of dedicated tenants")
	require.Empty(t, names("select schema_name || ' ' || state from rowhouse.tenants where state not in ('ready', 'warm', 'deleted')"))
	require.Len(t, names(tenants), killSlugs+2)
	in, err := m.Inspect(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, in.Findings)
}
