package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// plainSlug is the tenant whose schema the ceiling works in, as the owner and without any scope.
const plainSlug = "plain"

// place is where a run measures: a database of its own, and the roles that go with it. A child is told of it through a pipe.
type place struct {
	// AdminURL is the server's maintenance database as its superuser, DatabaseURL the run's own database as the same.
	AdminURL    string `json:"admin_url"`
	DatabaseURL string `json:"database_url"`
	// Name names the database, and begins the names of the roles.
	Name string `json:"name"`
	// OwnerURL logs in as the owner of the database, NaiveURL as the one role that naive has for all tenants.
	OwnerURL string `json:"owner_url"`
	NaiveURL string `json:"naive_url"`
	// Secret is what the login roles' passwords derive from.
	Secret string `json:"secret"`
	// CellSize is how many tenants share a login role; 0 is what the product does by itself.
	CellSize int `json:"cell_size"`
	// PlainSchema is the ceiling's schema.
	PlainSchema string `json:"plain_schema"`
}

// settle makes the database, the roles and the ceiling's schema. On error, what was made has been dropped.
func settle(ctx context.Context, adminURL string, cellSize int) (p place, err error) {
	suffix := strings.ToLower(rand.Text()[:8])
	p = place{AdminURL: adminURL, Name: "rowhousebench_" + suffix, Secret: rand.Text() + rand.Text(), CellSize: cellSize}
	u, err := url.Parse(adminURL)
	if err != nil {
		return p, fmt.Errorf("%s cannot be read: want postgres://user:password@host:port/postgres", envURL) // The cause may hold a password.
	}
	u.Path = "/" + p.Name
	p.DatabaseURL = u.String()
	password := rand.Text()
	u.User = url.UserPassword(p.owner(), password)
	p.OwnerURL = u.String()
	u.User = url.UserPassword(p.naive(), password)
	p.NaiveURL = u.String()
	defer func() {
		if err != nil {
			err = errors.Join(err, p.leave(context.WithoutCancel(ctx)))
		}
	}()
	err = withConn(ctx, adminURL, func(conn *pgx.Conn) error {
		for _, sql := range []string{ // Names and password are of letters, digits and underscores.
			"create role " + p.owner() + " login createrole password '" + password + "'",
			"create role " + p.naive() + " login noinherit password '" + password + "'",
			"create database " + p.Name + " owner " + p.owner(),
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("make a database: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	logins, err := p.logins()
	if err != nil {
		return p, err
	}
	err = tenancy.MigrateControl(ctx, tenancy.ControlMigration{
		Logins: logins, Then: func(ctx context.Context) error { return jobqueue.MigrateAs(ctx, logins) },
	})
	if err != nil {
		return p, err
	}
	if err = p.openQueue(ctx); err != nil {
		return p, err
	}
	err = p.makePlain(ctx)
	return p, err
}

func (p *place) owner() string { return p.Name + "_owner" }
func (p *place) naive() string { return p.Name + "_naive" }

// openQueue lets naive's login insert any job. Rowhouse's own logins need a scope for that.
func (p *place) openQueue(ctx context.Context) error {
	return withConn(ctx, p.DatabaseURL, func(conn *pgx.Conn) error {
		for _, sql := range []string{
			"grant connect on database " + p.Name + " to " + p.naive(),
			"grant usage on schema river to " + p.naive(),
			"grant select, insert, update on river.river_job to " + p.naive(),
			"grant usage on sequence river.river_job_id_seq to " + p.naive(),
			"grant execute on all functions in schema river to " + p.naive(),
			"create policy bench on river.river_job to " + p.naive() + " using (true)",
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("open the queue: %w", err)
			}
		}
		return nil
	})
}

// admitNaive lets naive's login become a tenant.
func (p *place) admitNaive(ctx context.Context, conn *pgx.Conn, schema tenantschema.Name) error {
	_, err := conn.Exec(ctx, tenantschema.GrantRole(conn, schema.String(), p.naive()))
	return err
}

// makePlain makes the ceiling's schema: from the tenants' own migrations, with the rows of twenty tenants in it.
func (p *place) makePlain(ctx context.Context) error {
	manager, closeManager, err := p.manager(ctx)
	if err != nil {
		return err
	}
	defer closeManager()
	t, _, err := manager.Create(ctx, tenancy.NewTenant{Slug: plainSlug, Tier: setOf(ceiling).tier})
	if err != nil {
		return err
	}
	p.PlainSchema = t.Schema.String()
	return withConn(ctx, p.DatabaseURL, func(conn *pgx.Conn) error {
		for i := range plainProjects {
			if err := fill(ctx, conn, t.Schema, setOf(ceiling), i); err != nil {
				return err
			}
		}
		// In a fleet of small tenants nothing asks for statistics of their tables; in one schema autovacuum makes them within a minute.
		if _, err := conn.Exec(ctx, "analyze "+t.Schema.Quote()+".projects, "+t.Schema.Quote()+".tasks"); err != nil {
			return err
		}
		var guarded bool
		err := conn.QueryRow(ctx, "select exists (select from pg_catalog.pg_class where relnamespace = $1::regnamespace and relrowsecurity)",
			p.PlainSchema).Scan(&guarded)
		if err == nil && guarded {
			err = errors.New("the ceiling's tables have row-level security, so it would be no ceiling")
		}
		return err
	})
}

// leave drops the database and its roles.
func (p *place) leave(ctx context.Context) error {
	var roles []string
	_ = withConn(ctx, p.DatabaseURL, func(conn *pgx.Conn) error { // It may not be there.
		rows, err := conn.Query(ctx, "select 't_' || id from rowhouse.tenants union all select 't_' || id from rowhouse.spare_roles")
		if err == nil {
			roles, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	return withConn(ctx, p.AdminURL, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "drop database if exists "+p.Name+" with (force)"); err != nil {
			return fmt.Errorf("drop the run's database: %w", err)
		}
		rows, err := conn.Query(ctx, "select rolname from pg_catalog.pg_roles where starts_with(rolname, $1)", p.Name)
		if err != nil {
			return err
		}
		own, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for some := range slices.Chunk(append(roles, own...), 100) {
			if _, err = conn.Exec(ctx, "drop role if exists "+strings.Join(some, ", ")); err != nil {
				return fmt.Errorf("drop the run's roles: %w", err)
			}
		}
		return nil
	})
}

func (p *place) logins() (*tenancy.Logins, error) {
	return tenancy.NewLogins(p.OwnerURL, p.Secret, p.Name)
}

// manager gives a manager of this place's tenants, and what closes it.
func (p *place) manager(ctx context.Context) (*tenancy.Manager, func(), error) {
	logins, err := p.logins()
	if err != nil {
		return nil, nil, err
	}
	owner, err := logins.Owner()
	if err != nil {
		return nil, nil, err
	}
	provisioner, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: owner, Migrations: migrations.Tenant()})
	if err != nil {
		return nil, nil, err
	}
	pool, err := openPool(ctx, owner, 8)
	if err != nil {
		return nil, nil, err
	}
	manager, err := tenancy.NewManager(tenancy.ManagerConfig{Pool: pool, Provisioner: provisioner, Logins: logins, CellSize: p.CellSize})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return manager, pool.Close, nil
}

// tenants reads the catalog, by slug.
func (p *place) tenants(ctx context.Context) (map[string]tenancy.Tenant, error) {
	manager, closeManager, err := p.manager(ctx)
	if err != nil {
		return nil, err
	}
	defer closeManager()
	list, err := manager.List(ctx, tenancy.ListFilter{State: tenancy.StateReady})
	if err != nil {
		return nil, err
	}
	bySlug := make(map[string]tenancy.Tenant, len(list))
	for _, t := range list {
		bySlug[t.Slug] = t
	}
	return bySlug, nil
}

// sealKey gives the key of the seal that is in force.
func (p *place) sealKey(ctx context.Context) (tenantschema.SealKey, error) {
	manager, closeManager, err := p.manager(ctx)
	if err != nil {
		return tenantschema.SealKey{}, err
	}
	defer closeManager()
	return manager.SealKey(ctx)
}

// withConn runs f with a connection of its own.
func withConn(ctx context.Context, databaseURL string, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // What was to be done is done, or f has failed.
	return f(conn)
}
