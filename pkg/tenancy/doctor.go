package tenancy

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Trouble is something that a kill, a fault or people have left between the catalog and the database.
type Trouble struct {
	// Kind is a word for programs, such as orphan-schema or unfinished.
	Kind string `json:"kind"`
	// Object is where, Problem what.
	Object  string `json:"object"`
	Problem string `json:"problem"`
	// Fix is what mends it: what [Manager.Doctor] does if Safe, else what an operator may want to do.
	Fix  string `json:"fix"`
	Safe bool   `json:"safe"`
	// Fixed says that it was mended just now; Error, why that failed.
	Fixed bool   `json:"fixed"`
	Error string `json:"error,omitempty"`

	mend func(ctx context.Context) error
}

// doctorPatience is how long something may look unfinished because somebody is at it.
const doctorPatience = time.Hour

// Doctor compares the catalog, the schemas, the roles and the queue, and gives what does not fit. With fix it mends what can be mended without
// losing anything: no schema is dropped that holds a row, and no role that owns something or that another database knows.
func (m *Manager) Doctor(ctx context.Context, fix bool) (found []Trouble, err error) {
	for range inspections {
		// XX000 is what PostgreSQL says when something is dropped just as it looks at it.
		if found, err = m.examine(ctx); !sqlState(err, "XX000", "42P01", "3F000") {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	for i := range found {
		t := &found[i]
		if t.Safe = t.mend != nil; !t.Safe || !fix {
			continue
		}
		if err = t.mend(ctx); err != nil {
			t.Error = err.Error()
		}
		t.Fixed = err == nil
	}
	return found, ctx.Err()
}

// examination is what is known of the database at one moment.
type examination struct {
	m   *Manager
	now time.Time
	// tenants are all that are not deleted; known, their schemas' names and those of spare roles.
	tenants []Tenant
	known   map[string]bool
	schemas map[string]bool
	roles   map[string]roleFacts
	// shared says that our logins may connect to another database of the server, too: then roles that no database knows may be its.
	shared bool
	found  []Trouble
}

// roleFacts are what is known of a tenant's role or of its own login.
type roleFacts struct {
	Name string
	// Members may become it.
	Members []string
	// Here says that this database knows it, Elsewhere, that another of the server does, Owns, that it owns something.
	Here, Elsewhere, Owns bool
}

func (m *Manager) examine(ctx context.Context) ([]Trouble, error) {
	e := &examination{m: m, known: map[string]bool{}, schemas: map[string]bool{}, roles: map[string]roleFacts{}}
	// One state of the database throughout: tenants come and go meanwhile.
	err := pgx.BeginTxFunc(ctx, m.cfg.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := e.read(ctx, tx); err != nil {
			return err
		}
		for _, check := range []func(context.Context, pgx.Tx) error{
			e.rows, e.spares, e.orphanSchemas, e.orphanRoles, e.walls, e.versions, e.jobs,
		} {
			if err := check(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("examine the database: %w", err)
	}
	return e.found, nil
}

func (e *examination) read(ctx context.Context, tx pgx.Tx) (err error) {
	if err = tx.QueryRow(ctx, "select now()").Scan(&e.now); err != nil {
		return err
	}
	if e.tenants, err = readTenants(ctx, tx, "where state <> 'deleted' order by id"); err != nil {
		return err
	}
	for _, t := range e.tenants {
		e.known[t.Schema.String()] = true
	}
	rows, err := tx.Query(ctx, "select nspname::text from pg_catalog.pg_namespace where nspname ~ $1", tenantPattern)
	if err != nil {
		return err
	}
	schemas, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range schemas {
		e.schemas[name] = true
	}
	rows, err = tx.Query(ctx, `select r.rolname::text, array(select o.rolname::text from pg_catalog.pg_auth_members m
				join pg_catalog.pg_roles o on o.oid = m.member where m.roleid = r.oid order by 1),
			exists (select from pg_catalog.pg_shdepend d join pg_catalog.pg_database b on b.oid = d.dbid
				where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.refobjid = r.oid and b.datname = current_database()),
			exists (select from pg_catalog.pg_shdepend d join pg_catalog.pg_database b on b.oid = d.dbid
				where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.refobjid = r.oid and b.datname <> current_database()),
			exists (select from pg_catalog.pg_shdepend d
				where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o')
		from pg_catalog.pg_roles r where r.rolname ~ $1 or r.rolname ~ $2 and right(r.rolname::text, 18) ~ $1`,
		tenantPattern, e.m.cfg.Logins.pattern())
	if err != nil {
		return err
	}
	roles, err := pgx.CollectRows(rows, pgx.RowToStructByPos[roleFacts])
	if err != nil {
		return err
	}
	for _, role := range roles {
		e.roles[role.Name] = role
	}
	return tx.QueryRow(ctx, `select exists (select from pg_catalog.pg_database b, aclexplode(b.datacl) a
			join pg_catalog.pg_roles r on r.oid = a.grantee
		where b.datname <> current_database() and b.datallowconn and r.rolname ~ $1)`, e.m.cfg.Logins.pattern()).Scan(&e.shared)
}

// add notes a trouble; mend may be nil.
func (e *examination) add(kind, object, problem, fix string, mend func(context.Context) error) {
	e.found = append(e.found, Trouble{Kind: kind, Object: object, Problem: problem, Fix: fix, mend: mend})
}

// old reports whether nobody can be expected to be at it any more.
func (e *examination) old(at time.Time) bool { return e.now.Sub(at) > doctorPatience }

// login is the one that may enter t.
func (e *examination) login(t Tenant) string {
	if t.Tier == tenantschema.TierDedicated {
		return e.m.cfg.Logins.Dedicated(t.Schema)
	}
	return e.m.cfg.Logins.Cell(t.Cell)
}

// exec mends by one statement.
func (e *examination) exec(sql string, args ...any) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := e.m.cfg.Pool.Exec(ctx, sql, args...)
		return err
	}
}

// secure mends role, membership, grants and seal of t.
func (e *examination) secure(t Tenant) func(context.Context) error {
	return e.session(func(ctx context.Context, s *tenantschema.Session) error {
		return s.Secure(ctx, tenantschema.Spec{Name: t.Schema, Member: e.login(t), Sealed: t.Tier != tenantschema.TierPooled})
	})
}

// session mends by a session of the owner.
func (e *examination) session(mend func(context.Context, *tenantschema.Session) error) func(context.Context) error {
	return func(ctx context.Context) error {
		session, err := e.m.cfg.Provisioner.Connect(ctx)
		if err != nil {
			return err
		}
		defer session.Close() //nolint:errcheck // Everything is committed by then.
		return mend(ctx, session)
	}
}
