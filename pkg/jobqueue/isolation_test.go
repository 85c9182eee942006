package jobqueue_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func tables() []string {
	return []string{
		"river_job", "river_queue", "river_leader", "river_migration", "river_notification",
		"rowhouse_schedule", "rowhouse_backfill", "rowhouse_turns_default",
	}
}

func TestTenantRoleHasNoRightOnTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, b.acme, note{})
	statements := []string{
		"select nextval('river.river_job_id_seq')",
		"insert into river.river_job (args, kind, max_attempts) values ('{}', 'note', 1)",
		"insert into river.river_queue (name, paused_at, updated_at) values ('default', now(), now())",
		"update river.river_job set kind = 'other'",
		"update river.river_job set state = 'cancelled', finalized_at = now()",
		"update river.river_job set metadata = metadata || '{\"cancel_attempted_at\":\"now\"}'",
		"update river.river_queue set paused_at = now()",
		"truncate river.river_job",
		"select river.river_job_state_in_bitmask(b'11111111', 'available')",
	}
	for _, table := range tables() {
		statements = append(statements, "select count(*) from river."+table, "delete from river."+table, "lock table river."+table)
	}
	for _, sql := range statements {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			requireState(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
				_, err := tx.Exec(t.Context(), sql)
				return err
			}), "42501")
		})
	}
}

func TestPublicHasNoRightOnTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var granted int
	require.NoError(t, b.Owner.QueryRow(t.Context(), `
		select count(*) from (
			select nspacl as acl from pg_namespace where nspname = 'river'
			union all select relacl from pg_class where relnamespace = 'river'::regnamespace
			union all select coalesce(proacl, acldefault('f', proowner)) from pg_proc where pronamespace = 'river'::regnamespace
			union all select coalesce(typacl, acldefault('T', typowner)) from pg_type where typnamespace = 'river'::regnamespace and typtype = 'e'
		) as objects, aclexplode(acl) as g where g.grantee = 0`).Scan(&granted))
	require.Zero(t, granted)
}

// TestCellLogin is about what a cell's login role may do when a transaction of acme steps out of the tenant: enqueue for acme.
func TestCellLogin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, b.acme, note{Key: "acme's"})
	b.enqueue(t, b.globex, note{Key: "globex's"})
	acme, globex := b.Tenant("acme").ID, b.Tenant("globex").ID
	insertFor := func(tenant string) string {
		return fmt.Sprintf(`insert into river.river_job (args, kind, max_attempts, metadata) values ('{}', 'note', 1, '{"tenant":%q}')`, tenant)
	}
	// outside runs fn as the login, in a transaction that is rolled back.
	outside := func(t *testing.T, fn func(tx pgx.Tx) error) error {
		t.Helper()
		var err error
		_ = b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			err = fn(tx.AsPlatform())
			return context.Canceled
		})
		return err
	}

	t.Run("sees its tenant's jobs", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, outside(t, func(tx pgx.Tx) error {
			rows, err := tx.Query(t.Context(), "select metadata ->> 'tenant' from river.river_job")
			if err != nil {
				return err
			}
			seen, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.Equal(t, []string{acme}, seen)
			return err
		}))
	})

	t.Run("sees and makes none without a tenant", func(t *testing.T) {
		t.Parallel()
		cfg, err := b.Logins.As(b.Logins.Cell(1))
		require.NoError(t, err)
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		require.NoError(t, err)
		defer conn.Close(t.Context()) //nolint:errcheck // It has done its work.
		// The login has nothing of its own; the role that it may become asks for the seal, whatever tenant one claims to be.
		for _, sql := range []string{"reset role", "set role " + b.Logins.Enqueuer()} {
			_, err = conn.Exec(t.Context(), sql)
			require.NoError(t, err)
			for _, tenant := range []string{"", acme} {
				_, err = conn.Exec(t.Context(), "select set_config('rowhouse.tenant', '"+tenant+"', false)")
				require.NoError(t, err)
				_, err = conn.Exec(t.Context(), "select count(*) from river.river_job")
				requireState(t, err, "42501")
				_, err = conn.Exec(t.Context(), insertFor(tenant))
				requireState(t, err, "42501")
			}
		}
		_, err = conn.Exec(t.Context(), "insert into river.river_job (args, kind) values ('{}', 'note')")
		requireState(t, err, "42501")
	})

	for _, sql := range []string{
		insertFor(globex),
		// Whoever is given that number next could not enqueue.
		`insert into river.river_job (id, args, kind, max_attempts, metadata)
			values (nextval('river.river_job_id_seq') + 1, '{}', 'note', 1, '{"tenant":"` + acme + `"}')`,
		"insert into river.river_job (args, kind, attempt) values ('{}', 'note', 25)",
		"update river.river_job set state = 'cancelled', finalized_at = now()",
		"update river.river_job set metadata = '{}'",
		"update river.river_job set metadata = metadata || '{\"cancel_attempted_at\":\"now\"}'",
		"update river.river_queue set metadata = '{}'",
		"delete from river.river_job",
		"truncate river.river_job",
		"update river.river_queue set paused_at = now()",
		"insert into river.river_queue (name, paused_at, updated_at) values ('default', now(), now())",
		"select count(*) from river.river_queue",
		"lock table river.rowhouse_turns_default",
		"select count(*) from river.river_leader",
		"select count(*) from river.river_migration",
		"select count(*) from river.river_notification",
		"insert into river.river_leader (leader_id, elected_at, expires_at) values ('me', now(), now() + interval '1 year')",
		"alter table river.river_job disable row level security",
		"create table river.mine ()",
		"select setval('river.river_job_id_seq', 1)",
	} {
		t.Run("may not "+sql, func(t *testing.T) {
			t.Parallel()
			requireState(t, outside(t, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), sql)
				return err
			}), "42501")
		})
	}

	// The column's right is asked for by River's insert; the policy gives the tenant's own unique jobs to use it on, of which there are none.
	t.Run("changes nothing by the right on kind", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, outside(t, func(tx pgx.Tx) error {
			tag, err := tx.Exec(t.Context(), "update river.river_job set kind = 'other'")
			require.Zero(t, tag.RowsAffected())
			return err
		}))
		require.NoError(t, outside(t, func(tx pgx.Tx) error {
			tag, err := tx.Exec(t.Context(), "select id from river.river_job for update")
			require.Zero(t, tag.RowsAffected())
			return err
		}))
	})
}

// A tenant's SQL may notify: by the function, unless the database is hardened, and by the statement, always. River does not listen.
func TestNotificationsStopNobody(t *testing.T) {
	t.Parallel()
	for _, hardened := range []bool{false, true} {
		t.Run(fmt.Sprintf("hardened %t", hardened), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if hardened {
				b.Harden()
			}
			b.notes(t, writeNote)
			for _, key := range []string{"1", "2", "3", "4", "5"} {
				b.enqueue(t, b.acme, note{Key: key})
				b.ear.next(t, jobqueue.OutcomeCompleted)
				for _, queue := range []string{"*", "default"} {
					pause := `{"action":"pause","queue":"` + queue + `"}`
					_, err := b.globex.Exec(t.Context(), "select pg_notify('river.river_control', $1)", pause)
					if hardened {
						requireState(t, err, "42501")
					} else {
						require.NoError(t, err)
					}
					_, err = b.globex.Exec(t.Context(), `notify "river.river_control", '`+pause+`'`)
					require.NoError(t, err)
				}
			}
			require.Equal(t, []string{"1", "2", "3", "4", "5"}, keys(t, b.acme))
		})
	}
}
