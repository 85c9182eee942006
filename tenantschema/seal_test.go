package tenantschema_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// requireUnsealed wants the seal's refusal.
func requireUnsealed(t *testing.T, err error, what string) {
	t.Helper()
	pgErr, ok := asPgError(err)
	require.True(t, ok, "%s: %v", what, err)
	require.Equal(t, "42501", pgErr.Code, "%s: %v", what, err)
	require.Equal(t, "seal", pgErr.ConstraintName, "%s: %v", what, err)
}

// intruder is a connection of a cell's login without an engine: it may become any tenant, and can make what seals it has a key for.
type intruder struct {
	conn *pgx.Conn
	pid  uint32
	key  tenantschema.SealKey
}

func newIntruder(t *testing.T, d *pgtest.DB) *intruder {
	t.Helper()
	cfg, err := d.Logins.As(d.Logins.Cell(1))
	require.NoError(t, err)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // Each statement is planned anew, as an injected one is.
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // Only used by this test.
	key, err := d.Manager.SealKey(t.Context())
	require.NoError(t, err)
	return &intruder{conn: conn, pid: conn.PgConn().PID(), key: key}
}

// read reads and writes a table of name, as name, under a seal.
func (i *intruder) read(ctx context.Context, name tenantschema.Name, seal string) error {
	return pgx.BeginFunc(ctx, i.conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "select set_config('role', $1, true), set_config('rowhouse.seal', $2, true)", name.String(), seal)
		if err != nil {
			return err
		}
		var n int
		return tx.QueryRow(ctx, "select count(*) from "+name.Quote()+".projects").Scan(&n)
	})
}

func TestSeal_Refuses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, globex := d.Tenant("acme").Schema, d.Tenant("globex").Schema
	i := newIntruder(t, d)
	past := time.Now().Add(-time.Second)
	right := i.key.Seal(acme, i.pid, soon())
	wrong := tenantschema.SealKey{ID: i.key.ID, Secret: []byte(strings.Repeat("x", 32))}
	unknown := tenantschema.SealKey{ID: "unknown", Secret: i.key.Secret}
	id, expiry, mac := i.key.ID, strings.Split(right, ".")[1], strings.Split(right, ".")[2]

	require.NoError(t, i.read(ctx, acme, right))
	require.NoError(t, i.read(ctx, acme, right), "the tenant itself may use it twice: it gives nothing that the tenant has not")
	for what, seal := range map[string]string{
		"none": "", "expired": i.key.Seal(acme, i.pid, past), "of another backend": i.key.Seal(acme, i.pid+1, soon()),
		"of another schema": i.key.Seal(globex, i.pid, soon()), "of another key": wrong.Seal(acme, i.pid, soon()),
		"of an unknown key": unknown.Seal(acme, i.pid, soon()), "longer life": id + "." + expiry + "0." + mac, "no id": "." + expiry + "." + mac,
		"no expiry": id + ".." + mac, "no mac": id + "." + expiry + ".", "no dots": id + expiry + mac, "only dots": "..", "upper case": strings.ToUpper(right),
		"space before": " " + right, "space after": right + " ", "cut": right[:len(right)-1], "mac twice": right + mac, "wildcards": "%.%.%", "null": "null",
		"expiry is no number": id + ".never." + mac, "quote": right + "'", "all keys": "' or true --", "parts in another order": id + "." + mac + "." + expiry,
	} {
		requireUnsealed(t, i.read(ctx, acme, seal), what)
	}
	requireUnsealed(t, i.read(ctx, globex, right), "replayed for another tenant")
	other := newIntruder(t, d)
	requireUnsealed(t, other.read(ctx, acme, right), "replayed on another backend")
	require.NoError(t, i.read(ctx, acme, right), "after all that")

	// For writing as for reading.
	for _, sql := range []string{
		"insert into projects (id, name) values (gen_random_uuid(), 'x')", "update projects set name = 'x'", "delete from projects",
		"select count(*) from projects", "select name from projects for update", "insert into projects (id, name) values (gen_random_uuid(), 'x') on conflict do nothing",
		"merge into projects p using (values (1)) v(x) on true when matched then delete",
	} {
		err := pgx.BeginFunc(ctx, i.conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "select set_config('role', $1, true), set_config('search_path', $1, true)", acme.String())
			require.NoError(t, err)
			_, err = tx.Exec(ctx, sql)
			return err
		})
		requireUnsealed(t, err, sql)
	}
}

// No text but the right one is a seal, and none makes the function fail in another way.
func TestSeal_AnyText(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme := d.Tenant("acme").Schema
	i := newIntruder(t, d)
	admin, err := pgx.Connect(ctx, d.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.WithoutCancel(ctx)) }) // Only used by this test.
	theirs := i.key.Seal(acme, i.pid, soon())
	parts := append(strings.Split(theirs, "."), "", ".", "0", "-1", "1e400", "infinity", "nan", "99999999999999999999", "x", "é", "\n", "'", theirs)
	part := rapid.OneOf(rapid.SampledFrom(parts), rapid.StringMatching(`[0-9]{1,20}`), rapid.StringMatching(`[0-9a-f]{64}`), rapid.StringN(0, 20, 60))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 0, 5).Draw(t, "parts"), rapid.SampledFrom([]string{".", "", ".."}).Draw(t, "between"))
		text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "") // PostgreSQL takes no other.
		var sealed bool
		// On another backend than theirs, so that even that is wrong.
		err := admin.QueryRow(ctx, "select seal.sealed($2) from (select set_config('rowhouse.seal', $1, true) offset 0) s", text, acme.String()).Scan(&sealed)
		pgErr, ok := asPgError(err)
		if !ok || pgErr.Code != "42501" || pgErr.ConstraintName != "seal" {
			t.Fatalf("%q: %v, %v", text, sealed, err)
		}
	})
}

// A seal is the tenant's, whoever sets it on the same backend.
func TestSeal_ReplayedInAScope(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	acme, globex := db.Tenant(d.Tenant("acme").Engine()), db.Tenant(d.Tenant("globex").Engine())
	var seal string
	require.NoError(t, acme.QueryRow(ctx, "select current_setting('rowhouse.seal')").Scan(&seal))
	err := globex.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, "set local rowhouse.seal to '"+seal+"'"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, countProjects)
		return err
	})
	requireUnsealed(t, err, "acme's seal in globex's scope")
	_, err = globex.Exec(ctx, countProjects)
	require.NoError(t, err)
}

// An engine without a key reaches pooled tenants and no others.
func TestSeal_Missing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	cfg := d.EngineConfig(tenantschema.Config{})
	cfg.SealKey = nil
	db, err := tenantschema.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	_, err = db.Tenant(d.Tenant("acme").Engine()).Exec(ctx, countProjects)
	requireUnsealed(t, err, "without a key")
	pooledOne, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "pooled", Tier: "pooled"})
	require.NoError(t, err)
	_, err = db.Tenant(pooledOne.Engine()).Exec(ctx, countProjects)
	require.NoError(t, err)
}

// A connection whose idea of the server's clock is wrong fails loudly, and is replaced.
func TestSeal_WrongClock(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	scope := db.Tenant(d.Tenant("acme").Engine())
	_, err := scope.Exec(ctx, insertProject, uuid.New(), "p")
	require.NoError(t, err)
	for name, call := range map[string]func() error{
		"Exec": func() error { _, err := scope.Exec(ctx, countProjects); return err },
		"Query": func() error {
			rows, _ := scope.Query(ctx, "select name from projects")
			rows.Close()
			return rows.Err()
		},
		"InTx": func() error {
			return scope.InTx(ctx, func(tx *tenantschema.Tx) error { _, err := tx.Exec(ctx, countProjects); return err })
		},
	} {
		db.ShiftClocks(-tenantschema.SealFor - 2*time.Second)
		requireUnsealed(t, call(), name)
		require.NoError(t, call(), "%s on a new connection", name)
	}
}

// A seal is for the beginning of a transaction: one that lasts longer keeps it.
func TestSeal_LongTransaction(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	scope := db.Tenant(d.Tenant("acme").Engine())
	_, err := scope.Exec(ctx, countProjects)
	require.NoError(t, err)
	db.ShiftClocks(2*time.Second - tenantschema.SealFor) // So that it ends within two seconds.
	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, countProjects); err != nil {
			return err
		}
		var seal string
		var ended bool
		if err := tx.QueryRow(ctx, "select current_setting('rowhouse.seal') from pg_sleep(2.1)").Scan(&seal); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, "select clock_timestamp() > to_timestamp($1::float8)", strings.Split(seal, ".")[1]).Scan(&ended)
		require.NoError(t, err)
		require.True(t, ended, "it has ended by the clock")
		_, err = tx.Exec(ctx, insertProject, uuid.New(), "p")
		return err
	}))
}

// While keys rotate, requests with the old and the new one go on. The key before the last two is worth nothing.
func TestSeal_Rotation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	first, err := d.Manager.SealKey(ctx)
	require.NoError(t, err)
	var current atomic.Pointer[tenantschema.SealKey]
	current.Store(&first)
	cfg := d.EngineConfig(tenantschema.Config{MaxConns: 4})
	cfg.SealKey = func() tenantschema.SealKey { return *current.Load() }
	db, err := tenantschema.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	scopes := []tenantschema.Scope{db.Tenant(d.Tenant("acme").Engine()), db.Tenant(d.Tenant("globex").Engine())}

	var done atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := scopes[g%2].Exec(ctx, countProjects); err != nil {
					t.Errorf("a request is lost: %v", err)
					return
				}
				done.Add(1)
			}
		})
	}
	some := func() { // requests pass
		t.Helper()
		from := done.Load()
		require.Eventually(t, func() bool { return done.Load() > from+100 || t.Failed() }, 30*time.Second, time.Millisecond)
	}
	some()
	rotate := func(id string) tenantschema.SealKey {
		t.Helper()
		key := tenantschema.SealKey{ID: id, Secret: []byte(strings.Repeat(id, 16))}
		require.NoError(t, pgx.BeginFunc(ctx, d.Owner, func(tx pgx.Tx) error { return tenantschema.AddSealKey(ctx, tx, key, []byte{}, 2) }))
		return key
	}
	second := rotate("two")
	some() // The process does not know of it yet.
	current.Store(&second)
	some()
	third := rotate("three")
	some()
	current.Store(&third)
	some()
	close(stop)
	wg.Wait()

	i := newIntruder(t, d)
	acme := scopes[0].Tenant().Schema
	require.NoError(t, i.read(ctx, acme, third.Seal(acme, i.pid, soon())))
	require.NoError(t, i.read(ctx, acme, second.Seal(acme, i.pid, soon())))
	requireUnsealed(t, i.read(ctx, acme, first.Seal(acme, i.pid, soon())), "the key before the last two")
}
