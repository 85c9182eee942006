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

// sqlEntries gives those of the schemas $1 on which their roles lack USAGE.
const sqlEntries = `select w.name from unnest($1::text[]) w (name)
	cross join lateral (select n.nspacl from pg_catalog.pg_namespace n where n.nspname = w.name offset 0) n
	where not exists (select from pg_catalog.aclexplode(n.nspacl) a
		where a.grantee = pg_catalog.to_regrole(pg_catalog.quote_ident(w.name))::oid and a.privilege_type = 'USAGE')`

// entries gives the statements by which the tenants' roles may enter their schemas, as far as they may not. It follows [sqlPlans].
func entries(ctx context.Context, tx pgx.Tx, names []string) (statements []string, err error) {
	statement, err := keep(ctx, tx, "rowhouse_entries", sqlEntries)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, statement, names)
	if err != nil {
		return nil, fmt.Errorf("look for rights: %w", err)
	}
	shut, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for rights: %w", err)
	}
	for _, name := range shut {
		quoted := pgx.Identifier{name}.Sanitize()
		statements = append(statements, "grant usage on schema "+quoted+" to "+quoted)
	}
	return statements, nil
}

// grants gives the statements by which the tenant's role gets the rights that it lacks: DML on each table and view, USAGE on each sequence.
func grants(found []relation, name Name) (statements []string) {
	var tables, sequences []string
	for _, r := range found {
		quoted := pgx.Identifier{name.String(), r.name}.Sanitize()
		switch {
		case !r.ungranted:
		case r.kind == kindSequence:
			sequences = append(sequences, quoted)
		default:
			tables = append(tables, quoted)
		}
	}
	if len(tables) > 0 {
		statements = append(statements, "grant select, insert, update, delete on "+strings.Join(tables, ", ")+" to "+name.Quote())
	}
	if len(sequences) > 0 {
		statements = append(statements, "grant usage on sequence "+strings.Join(sequences, ", ")+" to "+name.Quote())
	}
	return statements
}
