package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// AddRoles makes the roles of tenants to come and lets their members enter them, all in one transaction together with record. Each
// change of memberships makes every backend look its own up again, which takes milliseconds where there are thousands: in a block that
// happens once.
func (s *Session) AddRoles(ctx context.Context, specs []Spec, record func(context.Context, pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		for _, spec := range specs {
			if spec.Name.IsZero() {
				return ErrNoTenant
			}
			if err := s.addRole(ctx, tx, spec); err != nil {
				return err
			}
		}
		return record(ctx, tx)
	})
}

func (s *Session) addRole(ctx context.Context, tx pgx.Tx, spec Spec) error {
	name := spec.Name
	var exists, powerful bool
	err := tx.QueryRow(ctx, `select true, rolsuper or rolcanlogin or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication
		from pg_catalog.pg_roles where rolname = $1`, name.String()).Scan(&exists, &powerful)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if _, err = tx.Exec(ctx, "create role "+name.Quote()+" nologin noinherit"); err != nil {
			return fmt.Errorf("create role: %w", err)
		}
	case err != nil:
		return fmt.Errorf("look for role: %w", err)
	case powerful:
		return fmt.Errorf("tenantschema: a role %s with more rights than a tenant's exists already: drop it first", name)
	}
	if spec.Member == "" {
		return nil
	}
	if _, err = tx.Exec(ctx, GrantRole(s.conn, name.String(), spec.Member)); err != nil {
		return fmt.Errorf("grant role to %s: %w", spec.Member, err)
	}
	return nil
}

// GrantRole gives the statement that lets member become role, and gives it none of role's rights before it has.
func GrantRole(conn *pgx.Conn, role, member string) string {
	grant := "grant " + pgx.Identifier{role}.Sanitize() + " to " + pgx.Identifier{member}.Sanitize()
	if version := conn.PgConn().ParameterStatus("server_version"); majorVersion(version) >= 16 {
		grant += " with inherit false, set true"
	}
	return grant
}

// majorVersion reads the 16 of "16.3 (Debian 16.3-1)".
func majorVersion(serverVersion string) int {
	var major int
	_, _ = fmt.Sscanf(serverVersion, "%d", &major) // 0 for what cannot be read: the oldest syntax.
	return major
}

// DropRole drops a role that the owner has made, if it is there, with what its own SQL has left outside its schema, such as large objects and
// default privileges: those would keep the role.
func DropRole(ctx context.Context, tx pgx.Tx, role string) error {
	var exists bool
	err := tx.QueryRow(ctx, "select exists (select from pg_catalog.pg_roles where rolname = $1)", role).Scan(&exists)
	if err != nil || !exists {
		return err
	}
	quoted := pgx.Identifier{role}.Sanitize()
	grant := "grant " + quoted + " to current_user" // DROP OWNED asks for the role's own rights.
	if majorVersion(tx.Conn().PgConn().ParameterStatus("server_version")) >= 16 {
		grant += " with inherit true"
	}
	for _, statement := range []string{grant, "drop owned by " + quoted, "drop role " + quoted} {
		if _, err = tx.Exec(ctx, statement); err != nil {
			return fmt.Errorf("drop role %s: %w", role, err)
		}
	}
	return nil
}

// sqlTables lists the tables and sequences of the schema $1 that are the tenant's: all but $2, goose's own. They are found by pg_depend:
// GRANT ... ON ALL TABLES reads all of pg_class, which grows with every tenant.
const sqlTables = `select c.relname, c.relkind = 'S'
	from pg_catalog.pg_namespace n
	join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid
		and d.classid = 'pg_catalog.pg_class'::regclass
	join pg_catalog.pg_class c on c.oid = d.objid
	where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'S') and c.relname not in ($2::text, $2::text || '_id_seq')
	order by c.relname`

// grants gives the statements by which the tenant's role gets its rights on what [sqlTables] has found: USAGE on the schema, DML on each
// table.
func grants(rows pgx.Rows, name Name) ([]string, error) {
	var tables, sequences []string
	var relation string
	var isSequence bool
	_, err := pgx.ForEachRow(rows, []any{&relation, &isSequence}, func() error {
		quoted := pgx.Identifier{name.String(), relation}.Sanitize()
		if isSequence {
			sequences = append(sequences, quoted)
		} else {
			tables = append(tables, quoted)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	statements := []string{"grant usage on schema " + name.Quote() + " to " + name.Quote()}
	if len(tables) > 0 {
		statements = append(statements, "grant select, insert, update, delete on "+strings.Join(tables, ", ")+" to "+name.Quote())
	}
	if len(sequences) > 0 {
		statements = append(statements, "grant usage on sequence "+strings.Join(sequences, ", ")+" to "+name.Quote())
	}
	return statements, nil
}
