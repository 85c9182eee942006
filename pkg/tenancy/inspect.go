package tenancy

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Inspection is what [Manager.Inspect] saw, all at one moment.
type Inspection struct {
	// Tenants are those whose schema is complete, in the order of their cells and ids.
	Tenants []Tenant
	// Relations are their tables and views.
	Relations map[tenantschema.Name][]tenantschema.Relation
	// Findings are what is not as it should be.
	Findings []tenantschema.Finding
}

// Inspect compares the database with what the catalog says should be there. With only, not all tenants are looked into but that one, and
// what concerns all.
func (m *Manager) Inspect(ctx context.Context, only *Tenant) (in Inspection, err error) {
	for range inspections {
		// XX000 is what PostgreSQL says when something is dropped just as it looks at it.
		if in, err = m.inspect(ctx, only); !sqlState(err, "XX000") {
			break
		}
	}
	return in, err
}

// inspections is how often the database is looked at when tenants are deleted meanwhile.
const inspections = 5

func (m *Manager) inspect(ctx context.Context, only *Tenant) (in Inspection, err error) {
	// One state of the database throughout: tenants come and go meanwhile.
	err = pgx.BeginTxFunc(ctx, m.cfg.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		want, err := m.expectation(ctx, tx, &in)
		if err != nil {
			return err
		}
		names := make([]tenantschema.Name, len(in.Tenants))
		for i, t := range in.Tenants {
			names[i] = t.Schema
		}
		if in.Relations, err = tenantschema.Relations(ctx, tx, names); err != nil {
			return err
		}
		if only != nil {
			for _, t := range want.Tenants {
				if t.Name == only.Schema {
					want.Tenants = []tenantschema.ExpectedTenant{t}
					break
				}
			}
		}
		in.Findings, err = tenantschema.Inspect(ctx, tx, want)
		return err
	})
	return in, err
}

// expectation says how the database should stand, and fills the tenants of in.
func (m *Manager) expectation(ctx context.Context, tx pgx.Tx, in *Inspection) (want tenantschema.Expectation, err error) {
	tenants, err := readTenants(ctx, tx, "where state <> 'deleted' order by cell, id")
	if err != nil {
		return want, err
	}
	logins := m.cfg.Logins
	for _, t := range tenants {
		want.Known = append(want.Known, t.Schema.String())
		switch t.State {
		case StateReady, StateSuspended, StateMigrating, StateQuarantined, StateWarm:
			login := logins.Cell(t.Cell)
			if t.Tier == tenantschema.TierDedicated {
				login = logins.Dedicated(t.Schema)
			}
			in.Tenants = append(in.Tenants, t)
			want.Tenants = append(want.Tenants, tenantschema.ExpectedTenant{
				Name: t.Schema, Sealed: t.Tier != tenantschema.TierPooled, Login: login,
			})
		case StateProvisioning, StateArchived, StateDeleted: // Half there.
		}
	}
	rows, err := tx.Query(ctx, "select 't_' || id from rowhouse.spare_roles")
	if err != nil {
		return want, fmt.Errorf("list spare roles: %w", err)
	}
	spares, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return want, fmt.Errorf("list spare roles: %w", err)
	}
	want.Known = append(want.Known, spares...)
	cells, err := readCells(ctx, tx)
	if err != nil {
		return want, err
	}
	for _, cell := range cells {
		want.Cells = append(want.Cells, logins.Cell(cell))
	}
	want.ControlRole, want.EnqueueRole = logins.Control(), logins.Enqueuer()
	want.LoginPattern = logins.pattern()
	want.PlatformSchemas = []string{"rowhouse", "river"}
	return want, nil
}
