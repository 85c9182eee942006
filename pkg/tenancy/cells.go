package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// readCells lists the cells. q may be the control role.
func readCells(ctx context.Context, q querier) ([]int, error) {
	rows, err := q.Query(ctx, "select number from rowhouse.cells order by number")
	if err != nil {
		return nil, fmt.Errorf("list cells: %w", err)
	}
	cells, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("list cells: %w", err)
	}
	return cells, nil
}

// CellLogins names the login roles of all cells. q may be the control role.
func CellLogins(ctx context.Context, q querier, logins *Logins) ([]string, error) {
	cells, err := readCells(ctx, q)
	names := make([]string, len(cells))
	for i, cell := range cells {
		names[i] = logins.Cell(cell)
	}
	return names, err
}

// admitCell gives a cell's login all that it has: it may connect, and become the enqueuing role. A path of its own is empty, for
// connections through a pooler, which takes no startup parameters.
func admitCell(ctx context.Context, conn *pgx.Conn, logins *Logins, cell int) error {
	return admit(ctx, conn, conn, logins, logins.Cell(cell))
}

// admit is admitCell for any login of the engine. q may be a transaction of conn.
func admit(ctx context.Context, conn *pgx.Conn, q execer, logins *Logins, login string) error {
	role := pgx.Identifier{login}.Sanitize()
	for _, sql := range []string{
		"grant connect on database " + pgx.Identifier{conn.Config().Database}.Sanitize() + " to " + role,
		"alter role " + role + " set search_path = ''",
		tenantschema.GrantRole(conn, logins.Enqueuer(), login),
		tenantschema.LoginSQL(login, false),
	} {
		// XX000 is "tuple concurrently updated": another database's migration does the same.
		if _, err := q.Exec(ctx, sql); err != nil && !sqlState(err, "XX000", "23505") {
			return fmt.Errorf("set up login %s: %w", login, err)
		}
	}
	return nil
}

// spare is a role that waits for its tenant.
type spare struct {
	ID   string
	Cell int
}

// takeSpare reserves a role for a tenant to be made, making a block of them if there is none.
func (m *Manager) takeSpare(ctx context.Context, session *tenantschema.Session) (s spare, err error) {
	for {
		err = m.cfg.Pool.QueryRow(ctx, `update rowhouse.spare_roles set taken_at = now() where id = (
				select id from rowhouse.spare_roles where taken_at is null or taken_at < now() - interval '1 hour'
				order by cell, id limit 1 for update skip locked)
			returning id, cell`).Scan(&s.ID, &s.Cell)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return s, fmt.Errorf("take a role: %w", err)
		}
		if err = m.addSpares(ctx, session); err != nil {
			return s, err
		}
	}
}

// returnSpare gives a role back that was not used after all.
func (m *Manager) returnSpare(ctx context.Context, s spare) {
	// What this cannot do, the hour does.
	_, _ = m.cfg.Pool.Exec(context.WithoutCancel(ctx), "update rowhouse.spare_roles set taken_at = null where id = $1", s.ID)
}

// useSpare takes a role for good, in the transaction that makes its tenant.
func useSpare(ctx context.Context, tx pgx.Tx, id string) error {
	if _, err := tx.Exec(ctx, "delete from rowhouse.spare_roles where id = $1", id); err != nil {
		return fmt.Errorf("use up role: %w", err)
	}
	return nil
}

// addSpares makes a block of roles in a cell that has room, unless somebody else has just done so.
func (m *Manager) addSpares(ctx context.Context, session *tenantschema.Session) error {
	conn, err := m.cfg.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to make roles: %w", err)
	}
	defer conn.Release()
	const lock = "rowhouse.spare_roles"
	if err = tenantschema.Lock(ctx, conn.Conn(), lock); err != nil {
		return err
	}
	defer tenantschema.Unlock(ctx, conn.Conn(), lock)
	var there bool
	err = conn.QueryRow(ctx, "select exists (select from rowhouse.spare_roles where taken_at is null)").Scan(&there)
	if err != nil || there {
		return err
	}
	cell, room, err := m.roomyCell(ctx, conn.Conn())
	if err != nil {
		return err
	}
	specs := make([]tenantschema.Spec, min(m.cfg.RoleBlock, room))
	ids := make([]string, len(specs))
	for i := range specs {
		ids[i] = newID()
		if specs[i].Name, err = tenantschema.ParseName("t_" + ids[i]); err != nil {
			return err
		}
		specs[i].Member = m.cfg.Logins.Cell(cell)
	}
	return session.AddRoles(ctx, specs, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into rowhouse.spare_roles (id, cell) select unnest($1::text[]), $2", ids, cell)
		return err
	})
}

// roomyCell gives the first cell that has room and how much, making a new one if all are full.
func (m *Manager) roomyCell(ctx context.Context, conn *pgx.Conn) (cell, room int, err error) {
	err = conn.QueryRow(ctx, `select c.number, $1 - u.used from rowhouse.cells c, lateral (select
				(select count(*) from rowhouse.tenants t where t.cell = c.number and t.state <> 'deleted') +
				(select count(*) from rowhouse.spare_roles s where s.cell = c.number) as used) u
			where u.used < $1 order by c.number limit 1`, m.cfg.CellSize).Scan(&cell, &room)
	if err == nil {
		return cell, room, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, fmt.Errorf("look for a cell with room: %w", err)
	}
	if err = conn.QueryRow(ctx, "select coalesce(max(number), 0) + 1 from rowhouse.cells").Scan(&cell); err != nil {
		return 0, 0, fmt.Errorf("number a new cell: %w", err)
	}
	// The login before the row: processes that read the row may connect at once.
	if err = makeLogin(ctx, conn, ControlMigration{Logins: m.cfg.Logins}, m.cfg.Logins.Cell(cell), "noinherit"); err != nil {
		return 0, 0, explainOwner(err)
	}
	if err = admitCell(ctx, conn, m.cfg.Logins, cell); err != nil {
		return 0, 0, explainOwner(err)
	}
	if _, err = conn.Exec(ctx, "insert into rowhouse.cells (number) values ($1) on conflict do nothing", cell); err != nil {
		return 0, 0, fmt.Errorf("write cell: %w", err)
	}
	return cell, m.cfg.CellSize, nil
}
