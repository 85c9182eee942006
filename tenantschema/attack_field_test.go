package tenantschema_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// marker stands in the victim's tables. No attack's SQL has it.
const marker = "crownjewels"

// attackedFiles are the product's migrations and one more, with the kinds of relation that the product does not have.
func attackedFiles(tb testing.TB) fstest.MapFS {
	tb.Helper()
	files := fstest.MapFS{"90001_attacked.sql": {Data: []byte(`-- +goose Up
create view project_names as select id, name from projects;
create sequence ticket_numbers start 4242;
`)}}
	entries, err := fs.ReadDir(migrations.Tenant(), ".")
	require.NoError(tb, err)
	for _, entry := range entries {
		text, err := fs.ReadFile(migrations.Tenant(), entry.Name())
		require.NoError(tb, err)
		files[entry.Name()] = &fstest.MapFile{Data: text}
	}
	return files
}

// battlefield is a database with an attacker and a victim of each tier, a tenant in another cell, and a dedicated tenant.
type battlefield struct {
	*pgtest.DB

	hard  bool
	pairs map[tenantschema.Tier][2]tenancy.Tenant
	far   tenancy.Tenant
	key   tenantschema.SealKey
}

func newBattlefield(t *testing.T, hard bool) *battlefield {
	t.Helper()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: attackedFiles(t), CellSize: 6})
	b := &battlefield{DB: d, hard: hard, pairs: make(map[tenantschema.Tier][2]tenancy.Tenant)}
	create := func(slug string, tier tenantschema.Tier) tenancy.Tenant {
		tenant, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: slug, Tier: string(tier)})
		require.NoError(t, err)
		return tenant
	}
	for _, tier := range tiers() {
		b.pairs[tier] = [2]tenancy.Tenant{create("attacker-"+string(tier), tier), create("victim-"+string(tier), tier)}
	}
	b.far = create("far", tenantschema.TierSealed)
	require.NotEqual(t, b.pairs[tenantschema.TierSealed][0].Cell, b.far.Cell)
	var err error
	b.key, err = d.Manager.SealKey(ctx)
	require.NoError(t, err)
	if hard {
		d.Harden()
	}
	return b
}

// connect gives a connection that ends with the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // It may have been killed.
	return conn
}

// field is one tier's part of the battlefield, used by one attack after another.
type field struct {
	*battlefield

	t                *testing.T
	tier             tenantschema.Tier
	attacker, victim tenancy.Tenant
	login            string
	// shared is an engine with one connection, which all tenants of a login share; others has some.
	shared, others *tenantschema.DB
	admin, jury    *pgx.Conn // superuser's: for controls, and to see what happened
	session        *pgx.Conn // the attacker's own, for several statements
	names          []string  // pairs of a placeholder and what it stands for
}

func (b *battlefield) field(t *testing.T, tier tenantschema.Tier) *field {
	t.Helper()
	ctx := t.Context()
	f := &field{battlefield: b, t: t, tier: tier, attacker: b.pairs[tier][0], victim: b.pairs[tier][1]}
	f.login = b.loginOf(f.attacker)
	f.shared, f.others = f.engine(1), f.engine(4)
	f.admin, f.jury = connect(t, b.AdminURL), connect(t, b.AdminURL)
	_, err := f.admin.Exec(ctx, "set lock_timeout = '5s'")
	require.NoError(t, err)
	v := f.victim.Schema.Quote()
	for _, sql := range []string{
		"insert into " + v + ".projects (id, name) values ('00000000-0000-4000-8000-000000000001', '" + marker + "')",
		"insert into " + v + ".projects (id, name) select gen_random_uuid(), 'ordinary' from generate_series(1, 61)",
		"insert into " + v + ".projects (id, name) select gen_random_uuid(), 'p' || g from generate_series(1, 61) g",
		"insert into " + v + ".users (id, email, display_name) values (gen_random_uuid(), 'boss@example.com', '" + marker + "')",
		"analyze " + v + ".projects",
		"insert into " + f.attacker.Schema.Quote() + ".projects (id, name) values (gen_random_uuid(), 'mine')",
	} {
		_, err = f.jury.Exec(ctx, sql)
		require.NoError(t, err, sql)
	}
	var object uint32
	require.NoError(t, f.jury.QueryRow(ctx, "select lo_from_bytea(0, '"+marker+"')").Scan(&object))
	_, err = f.jury.Exec(ctx, fmt.Sprintf("alter large object %d owner to %s", object, v))
	require.NoError(t, err)
	t.Cleanup(func() { // No schema holds it.
		_, err := f.jury.Exec(context.WithoutCancel(ctx), fmt.Sprintf("select lo_unlink(%d)", object))
		require.NoError(t, err)
	})
	f.names = []string{
		"{v}", f.victim.Schema.String(), "{vid}", f.victim.ID, "{a}", f.attacker.Schema.String(), "{aid}", f.attacker.ID, "{login}", f.login,
		"{vlogin}", b.loginOf(f.victim), "{far}", b.far.Schema.String(), "{dedicated}", b.pairs[tenantschema.TierDedicated][1].Schema.String(),
		"{enqueue}", b.Logins.Enqueuer(), "{control}", b.Logins.Control(), "{owner}", f.owner(), "{lo}", strconv.FormatUint(uint64(object), 10),
		"{marker}", marker, "{db}", f.jury.Config().Database, "{key}", b.key.ID, "{secret}",
		hex.EncodeToString([]byte("a guess of thirty-two characters")),
	}
	return f
}

func (f *field) owner() string {
	cfg, err := f.Logins.Owner()
	require.NoError(f.t, err)
	return cfg.User
}

func (b *battlefield) loginOf(t tenancy.Tenant) string {
	if t.Tier == tenantschema.TierDedicated {
		return b.Logins.Dedicated(t.Schema)
	}
	return b.Logins.Cell(t.Cell)
}

func (f *field) engine(maxConns int) *tenantschema.DB {
	db, err := tenantschema.Open(f.EngineConfig(tenantschema.Config{MaxConns: maxConns}))
	require.NoError(f.t, err)
	f.t.Cleanup(db.Close)
	return db
}

// fill replaces the names in braces; more come first.
func (f *field) fill(sql string, more ...string) string {
	return strings.NewReplacer(slices.Concat(more, f.names)...).Replace(sql)
}

// seal makes a seal as the engine does.
func (f *field) seal(key tenantschema.SealKey, schema tenantschema.Name, pid uint32, expiry time.Time) string {
	mac := hmac.New(sha256.New, key.Secret)
	fmt.Fprintf(mac, "%s|%d|%d", schema, pid, expiry.Unix())
	return fmt.Sprintf("%s.%d.%x", key.ID, expiry.Unix(), mac.Sum(nil))
}

func soonSealed() time.Time { return time.Now().Add(time.Minute) }

// outcome is what an attacker saw.
type outcome struct {
	text   strings.Builder
	failed bool
	during bool
}

// answer is what came of one statement.
type answer struct {
	rows [][][]byte
	tag  string
	err  error
}

// play sends statements until one fails.
func (f *field) play(a *attack, statements []string, send func(sql string) answer) (o *outcome) {
	o = &outcome{}
	for _, sql := range statements {
		got := send(sql)
		for _, row := range got.rows {
			for _, value := range row {
				fmt.Fprintf(&o.text, "%s|", value)
			}
			o.text.WriteByte('\n')
		}
		fmt.Fprintf(&o.text, "%s\n", got.tag)
		if got.err != nil {
			fmt.Fprintf(&o.text, "%v\n", got.err)
			o.failed = true
			break
		}
	}
	if a.during != "" {
		require.NoError(f.t, f.jury.QueryRow(f.t.Context(), f.fill(a.during)).Scan(&o.during))
	}
	return o
}

// succeeded says whether what the attacker saw is what he wanted.
func (f *field) succeeded(a *attack, o *outcome) bool {
	switch {
	case a.during != "":
		return o.during
	case a.done:
		return !o.failed
	case a.shows != "":
		return slices.ContainsFunc(strings.Split(f.fill(a.shows), " or "), func(text string) bool { return strings.Contains(o.text.String(), text) })
	}
	return strings.Contains(o.text.String(), marker)
}

// statements gives the SQL as it is sent.
func (f *field) statements(a *attack, more ...string) []string {
	filled := make([]string, len(a.sql))
	for i, sql := range a.sql {
		if filled[i] = f.fill(sql, more...); a.strength == fragment {
			filled[i] = strings.Replace(hostStatement, "%", filled[i], 1)
		}
		require.NotContains(f.t, filled[i], marker, "an attack that knows the secret proves nothing")
	}
	return filled
}

// attack runs it as the attacker would, and undoes it.
func (f *field) attack(a *attack) (succeeded bool, seen string) {
	if a.custom != nil {
		return a.custom(f.t, f, true), "see the attack's own code"
	}
	for _, sql := range a.before {
		_, err := f.shared.Tenant(f.victim.Engine()).Exec(f.t.Context(), f.fill(sql))
		require.NoError(f.t, err)
	}
	pid, end := f.hold(a)
	defer end()
	more := []string{"{vpid}", strconv.FormatUint(uint64(pid), 10), "{stolen}", f.seal(f.key, f.victim.Schema, pid, soonSealed())}
	o := f.byScope(a, more)
	if !f.succeeded(a, o) && a.strength == several {
		seen = o.text.String()
		o = f.bySession(a, more)
	}
	return f.succeeded(a, o), seen + o.text.String()
}

// byScope runs the attack in the tenant's scope.
func (f *field) byScope(a *attack, more []string) (o *outcome) {
	undo := errors.New("undo")
	_ = f.shared.Tenant(f.attacker.Engine()).InTx(f.t.Context(), func(tx *tenantschema.Tx) error {
		more = append(more, "{expired}", f.fill("{key}.1.00"))
		o = f.play(a, f.statements(a, more...), func(sql string) (got answer) {
			rows, err := tx.Query(f.t.Context(), sql)
			if err != nil {
				return answer{err: err}
			}
			defer rows.Close()
			for rows.Next() {
				row := make([][]byte, 0, len(rows.RawValues()))
				for _, value := range rows.RawValues() {
					row = append(row, slices.Clone(value))
				}
				got.rows = append(got.rows, row)
			}
			rows.Close()
			got.tag, got.err = rows.CommandTag().String(), rows.Err()
			return got
		})
		return undo
	})
	return o
}

// bySession runs the attack on a session that has entered the attacker's tenant as a scope does, with nothing of ours in between.
func (f *field) bySession(a *attack, more []string) *outcome {
	ctx := f.t.Context()
	if f.session == nil || f.session.IsClosed() {
		cfg, err := f.Logins.Engine(loginFor(f.attacker))
		require.NoError(f.t, err)
		f.session, err = pgx.ConnectConfig(ctx, cfg)
		require.NoError(f.t, err)
	}
	pg := f.session.PgConn()
	defer func() {
		if _, err := pg.Exec(ctx, "rollback; deallocate all").ReadAll(); err != nil {
			_ = f.session.Close(ctx) // The next attack opens another.
		}
	}()
	more = append(more, "{expired}", f.seal(f.key, f.victim.Schema, pg.PID(), time.Now().Add(-time.Second)))
	_, err := pg.Exec(ctx, "begin; "+f.entry(pg.PID())).ReadAll()
	require.NoError(f.t, err)
	return f.play(a, f.statements(a, more...), func(sql string) answer { return send(ctx, f.session, sql) })
}

// entry gives what a scope begins with, in the attacker's tenant.
func (f *field) entry(pid uint32) string {
	schema := f.attacker.Schema
	return fmt.Sprintf("set local role %[1]s; set local search_path = %[1]s; set local rowhouse.seal = '%[2]s'",
		schema.Quote(), f.seal(f.key, schema, pid, soonSealed()))
}

// send sends one statement by the extended protocol and reads everything as text.
func send(ctx context.Context, conn *pgx.Conn, sql string) (got answer) {
	if strings.HasPrefix(sql, "copy ") && strings.HasSuffix(sql, "to stdout") {
		var out strings.Builder
		tag, err := conn.PgConn().CopyTo(ctx, &out, sql)
		return answer{rows: [][][]byte{{[]byte(out.String())}}, tag: tag.String(), err: err}
	}
	result := conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	return answer{rows: result.Rows, tag: result.CommandTag.String(), err: result.Err}
}

// control runs the same SQL as the same role in a superuser's transaction in which the defence has been taken away.
func (f *field) control(a *attack) (succeeded bool, seen string) {
	if a.custom != nil {
		return a.custom(f.t, f, false), "see the attack's own code"
	}
	ctx := f.t.Context()
	victimPID, end := f.hold(a)
	defer end()
	pg := f.admin.PgConn()
	more := []string{"{vpid}", strconv.FormatUint(uint64(victimPID), 10)}
	if a.instead != nil {
		more = append(a.instead(f, pg.PID()), more...)
	}
	setting := append([]string{"begin"}, a.without...)
	setting = append(setting, "set local session authorization "+f.login, f.entry(pg.PID()))
	defer func() {
		_, err := pg.Exec(ctx, "rollback; deallocate all").ReadAll()
		require.NoError(f.t, err)
	}()
	_, err := pg.Exec(ctx, f.fill(strings.Join(setting, "; "), more...)).ReadAll()
	require.NoError(f.t, err, "%v", a.without)
	o := f.play(a, f.statements(a, more...), func(sql string) answer { return send(ctx, f.admin, sql) })
	return f.succeeded(a, o), o.text.String()
}

// hold lets the victim do something in a transaction that stays open until end is called, and gives its backend.
func (f *field) hold(a *attack) (pid uint32, end func()) {
	if len(a.victim) == 0 {
		return 0, func() {}
	}
	ready, release, done := make(chan uint32), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		// The attack may have killed it.
		_ = f.others.Tenant(f.victim.Engine()).InTx(f.t.Context(), func(tx *tenantschema.Tx) error {
			var pid uint32
			if err := tx.QueryRow(f.t.Context(), "select pg_catalog.pg_backend_pid()").Scan(&pid); err != nil {
				close(ready)
				return err
			}
			for _, sql := range a.victim {
				if _, err := tx.Exec(f.t.Context(), f.fill(sql)); err != nil {
					close(ready)
					return err
				}
			}
			ready <- pid
			<-release
			return nil
		})
	}()
	pid, ok := <-ready
	require.True(f.t, ok, "the victim could not work")
	return pid, func() { close(release); <-done }
}

func loginFor(t tenancy.Tenant) tenantschema.Login {
	if t.Tier == tenantschema.TierDedicated {
		return tenantschema.Login{Tenant: t.Schema, Secret: t.Engine().LoginSecret}
	}
	return tenantschema.Login{Cell: t.Cell}
}
