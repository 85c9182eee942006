package tenancy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ControlMigration says what [MigrateControl] works on.
type ControlMigration struct {
	// Logins is how to connect. Required, with a login secret.
	Logins *Logins
	// ResetLogins gives roles that were made with another login secret passwords of this one. Without it they are refused.
	ResetLogins bool
	// Then runs at the end, under the same lock: for River's schema. Required.
	Then func(ctx context.Context) error
}

// MigrateControl makes or updates all that stands outside the tenants' schemas, as the owner: the login roles and their passwords, the
// database's and the catalog's grants, and the catalog's tables.
//
// It is safe to repeat, and processes that call it at once take turns.
func MigrateControl(ctx context.Context, m ControlMigration) error {
	logins := m.Logins
	if logins.secret == "" {
		return apperr.New(apperr.Invalid, "database.login_secret is not set: the login roles' passwords derive from it; "+
			"make one with `openssl rand -base64 32`")
	}
	cfg, err := logins.Owner()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as its owner: check database.url")
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // The session's lock goes with it.
	if err = CheckDirect(ctx, conn); err != nil {
		return err
	}
	if err = tenantschema.Lock(ctx, conn, "rowhouse.control"); err != nil {
		return err
	}
	if err = makeLogins(ctx, conn, m); err != nil {
		return explainOwner(err)
	}
	if _, err = conn.Exec(ctx, "create schema if not exists rowhouse"); err != nil {
		return explainOwner(fmt.Errorf("create schema rowhouse: %w", err))
	}
	if err = runControlFiles(ctx, cfg); err != nil {
		return err
	}
	cells, err := readCells(ctx, conn)
	if err != nil {
		return err
	}
	for _, cell := range cells {
		if err = makeLogin(ctx, conn, m, logins.Cell(cell), "noinherit"); err != nil {
			return explainOwner(err)
		}
		if err = admitCell(ctx, conn, logins, cell); err != nil {
			return explainOwner(err)
		}
	}
	if err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return setUpSeal(ctx, tx, logins) }); err != nil {
		return explainOwner(err)
	}
	for _, grant := range controlGrants(logins, conn.Config().Database) {
		if _, err = conn.Exec(ctx, grant); err != nil {
			return explainOwner(fmt.Errorf("grant: %w", err))
		}
	}
	return m.Then(ctx)
}

// setUpSeal makes the seal, and a key if there is none that this login secret gives: the first, or the one after the secret was changed.
func setUpSeal(ctx context.Context, tx pgx.Tx, logins *Logins) error {
	if err := tenantschema.SetUpSeal(ctx, tx); err != nil {
		return err
	}
	key, err := readSealKey(ctx, tx, logins)
	if err == nil {
		if valid, err := tenantschema.HasSealKey(ctx, tx, key); err != nil || valid {
			return err
		}
	} else if apperr.CodeOf(err) != apperr.Unavailable {
		return err
	}
	_, err = addSealKey(ctx, tx, logins, 1)
	return err
}

// explainOwner says which right the owner lacks, when that is what err means.
func explainOwner(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42501" {
		return apperr.Wrap(err, apperr.Refused, "the user of database.url may not do that: it must own the database and have CREATEROLE")
	}
	return err
}

// makeLogins makes the roles that do not depend on what is in the database.
func makeLogins(ctx context.Context, conn *pgx.Conn, m ControlMigration) error {
	if err := makeLogin(ctx, conn, m, m.Logins.Control(), "inherit"); err != nil {
		return err
	}
	name := pgx.Identifier{m.Logins.Enqueuer()}.Sanitize()
	var exists bool
	if err := conn.QueryRow(ctx, existsRole, m.Logins.Enqueuer()).Scan(&exists); err != nil || exists {
		return err
	}
	if _, err := conn.Exec(ctx, "create role "+name+" nologin"); err != nil && !sqlState(err, "42710", "23505") {
		return fmt.Errorf("create role %s: %w", m.Logins.Enqueuer(), err)
	}
	return nil
}

const existsRole = "select exists (select from pg_catalog.pg_roles where rolname = $1)"

// makeLogin makes a login role, or brings what exists to the right attributes and password, as far as the owner may: what takes a superuser
// is left to [CheckRights] to tell.
func makeLogin(ctx context.Context, conn *pgx.Conn, m ControlMigration, role, inherit string) error {
	verifier, err := Verifier(m.Logins.password(role))
	if err != nil {
		return err
	}
	// The verifier has no quote in it: base64, digits, $ and :. Roles belong to the whole server: another database's migration may make
	// the same one at the same moment.
	name := pgx.Identifier{role}.Sanitize()
	attributes := " login nocreaterole " + inherit + " password '" + verifier + "'"
	// Looked for first: trying would put the statement, and so the verifier, into the server's log at every migration. Since PostgreSQL 16
	// who has not CREATEDB may not even take it away.
	var exists, lessDB bool
	err = conn.QueryRow(ctx, `select count(*) > 0, coalesce(bool_or(r.rolcreatedb and
			(o.rolcreatedb or o.rolsuper or current_setting('server_version_num')::int < 160000)), false)
		from pg_catalog.pg_roles r join pg_catalog.pg_roles o on o.rolname = current_user where r.rolname = $1`, role).Scan(&exists, &lessDB)
	if err != nil {
		return fmt.Errorf("look for role %s: %w", role, err)
	}
	if lessDB {
		attributes += " nocreatedb"
	}
	if !exists {
		if _, err = conn.Exec(ctx, "create role "+name+attributes); err == nil {
			return nil
		}
		if !sqlState(err, "42710", "23505") {
			return fmt.Errorf("create role %s: %w", role, err)
		}
	}
	if err = mayChange(ctx, conn, m, role); err != nil {
		return err
	}
	// XX000 is "tuple concurrently updated": to the same values.
	if _, err = conn.Exec(ctx, "alter role "+name+attributes); err != nil && !sqlState(err, "XX000") {
		return fmt.Errorf("set up role %s: %w", role, err)
	}
	return nil
}

// mayChange refuses to touch a role that is not one of ours, or whose password is of another secret: processes log in with that.
func mayChange(ctx context.Context, conn *pgx.Conn, m ControlMigration, role string) error {
	var super bool
	if err := conn.QueryRow(ctx, "select rolsuper from pg_catalog.pg_roles where rolname = $1", role).Scan(&super); err != nil {
		return fmt.Errorf("read role %s: %w", role, err)
	}
	if super {
		return apperr.New(apperr.Refused, "the role %s is a superuser: choose another database.role_prefix", role)
	}
	if m.ResetLogins {
		return nil
	}
	cfg, err := m.Logins.As(role)
	if err != nil {
		return err
	}
	probe, err := pgx.ConnectConfig(ctx, cfg)
	if sqlState(err, "28P01") {
		return apperr.Wrap(err, apperr.Refused, "the role %s was made with another database.login_secret: give that one, or "+
			"`rowhouse migrate up --reset-logins`, which locks out all processes that run with it", role)
	}
	if err == nil { // Any other failure is not about the password; this database may not let the role in yet.
		return probe.Close(ctx)
	}
	return nil
}

func sqlState(err error, codes ...string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains(codes, pgErr.Code)
}

// controlGrants takes from PUBLIC what PostgreSQL gives it and gives the login roles the least they need.
func controlGrants(logins *Logins, database string) []string {
	db := pgx.Identifier{database}.Sanitize()
	control := pgx.Identifier{logins.Control()}.Sanitize()
	return []string{
		// Without TEMP nobody can shadow a table with a temporary one.
		"revoke all on database " + db + " from public",
		"revoke all on schema public from public",
		"grant connect on database " + db + " to " + control,
		"revoke all on schema rowhouse from public",
		"revoke all on all functions in schema rowhouse from public",
		"grant usage on schema rowhouse to " + control,
		"grant select on rowhouse.tenants, rowhouse.plans, rowhouse.cells, rowhouse.goose_db_version to " + control,
		// Who sends the form of a sign-up gets a row, and is told how it stands.
		"grant insert (id, slug, name, email, display_name, password_hash, welcome_hash, browser_hash, address_hash) on rowhouse.signups to " + control,
		"grant select (id, slug, slug_skeleton, name, browser_hash, address_hash, state, error, created_at, finished_at) on rowhouse.signups to " + control,
		// Not the pads: from a hint the secret can be derived only by who has the login secret.
		"grant usage on schema seal to " + control,
		"grant select (id, hint, created_at) on seal.keys to " + control,
	}
}

// controlGoose gives goose over the catalog's files. The path has the catalog's schema alone, so that goose's table stands there.
func controlGoose(cfg *pgx.ConnConfig) (*goose.Provider, error) {
	cfg = cfg.Copy()
	cfg.RuntimeParams["search_path"] = "rowhouse"
	// OpenDB connects on first use, if ever.
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*cfg), migrations.Control(),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read control migrations: %w", err)
	}
	return provider, nil
}

func runControlFiles(ctx context.Context, cfg *pgx.ConnConfig) (err error) {
	provider, err := controlGoose(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, provider.Close()) }()
	if _, err = provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate control schema: %w", err)
	}
	return nil
}

// ControlVersion gives the version of the catalog's schema and the one this program was built with. q may be the control role.
func ControlVersion(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (current, target int64, err error) {
	cfg, err := pgx.ParseConfig("") // Never connected with: this is for the list of files.
	if err != nil {
		return 0, 0, fmt.Errorf("list control migrations: %w", err)
	}
	provider, err := controlGoose(cfg)
	if err != nil {
		return 0, 0, err
	}
	defer provider.Close() //nolint:errcheck // Nothing was opened.
	for _, source := range provider.ListSources() {
		target = max(target, source.Version)
	}
	err = q.QueryRow(ctx, "select coalesce(max(version_id), 0) from rowhouse.goose_db_version").Scan(&current)
	if sqlState(err, "42P01", "3F000", "42501") { // no table, no schema, or not yet ours to read
		return 0, target, nil
	}
	return current, target, err
}
