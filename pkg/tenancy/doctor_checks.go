package tenancy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// rows looks at each tenant of the catalog: whether it is whole, and who may enter it.
func (e *examination) rows(_ context.Context, _ pgx.Tx) error {
	for _, t := range e.tenants {
		object, label := "tenant "+t.Label(), t.Label()
		remove := "rowhouse tenant delete " + label + " --confirm " + label
		switch {
		case t.State == StateArchived:
			if e.old(t.UpdatedAt) {
				e.add("half-deleted", object, "its deletion was cut off", remove, nil) // What is left of it may be data.
			}
		case t.State == StateProvisioning:
			if e.old(t.UpdatedAt) {
				e.add("unfinished", object, "its creation was cut off", "rowhouse tenant create "+label, e.create(t))
			}
		case e.schemas[t.Schema.String()]:
			e.doors(t)
		case t.State == StateWarm:
			e.add("schema-missing", object, "was made ahead, and its schema is gone", remove, e.remove(t))
		default:
			e.add("schema-missing", object, "its schema "+t.Schema.String()+" is gone", "restore it from a backup, or: "+remove, nil)
		}
	}
	return nil
}

func (e *examination) create(t Tenant) func(context.Context) error {
	return func(ctx context.Context) error {
		_, _, err := e.m.Create(ctx, NewTenant{Slug: t.Slug, Tier: string(t.Tier)})
		return err
	}
}

func (e *examination) remove(t Tenant) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := e.m.Delete(ctx, t.ID)
		return err
	}
}

func (e *examination) setTier(t Tenant) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := e.m.SetTier(ctx, t.ID, t.Tier, 0)
		return err
	}
}

// doors looks at the role of a tenant that has a schema, and at the logins that lead to it.
func (e *examination) doors(t Tenant) {
	login, own := e.login(t), e.m.cfg.Logins.Dedicated(t.Schema)
	role, hasRole := e.roles[t.Schema.String()]
	_, hasOwn := e.roles[own]
	switch {
	case t.Tier == tenantschema.TierDedicated && !hasOwn:
		e.add("login-missing", "role "+own, "the tenant "+t.Label()+" is dedicated, and its login is gone", "make it again", e.setTier(t))
	case !hasRole:
		e.add("role-missing", "role "+t.Schema.String(), "the role of the tenant "+t.Label()+" is gone", "make it again, with its rights",
			e.secure(t))
	case !slices.Contains(role.Members, login):
		e.add("membership-missing", "role "+role.Name, login+" may not become it, so nobody serves the tenant "+t.Label(),
			fmt.Sprintf("grant %s to %s", role.Name, login), e.secure(t))
	}
	if !e.old(t.UpdatedAt) {
		return // Its tier may be being changed.
	}
	if t.Tier != tenantschema.TierDedicated && hasOwn && t.State != StateWarm && t.State != StateQuarantined {
		e.add("login-left", "role "+own, "the tenant "+t.Label()+" is "+string(t.Tier)+", and has a login of its own all the same",
			fmt.Sprintf("rowhouse tenant set-tier %s %s", t.Label(), t.Tier), e.setTier(t))
	}
	for _, member := range role.Members {
		if member == login || member == own || !e.m.cfg.Logins.ours(member) {
			continue
		}
		sql := fmt.Sprintf("revoke %s from %s", t.Schema.Quote(), pgx.Identifier{member}.Sanitize())
		e.add("membership", "role "+role.Name, member+" may become it, and is not the login of the tenant "+t.Label(), sql, e.exec(sql))
	}
}

// spares looks at the roles that wait for a tenant.
func (e *examination) spares(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, "select id, cell, coalesce(taken_at < $1, false) from rowhouse.spare_roles order by id", e.now.Add(-doctorPatience))
	if err != nil {
		return err
	}
	type row struct {
		ID        string
		Cell      int
		Forgotten bool
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return err
	}
	for _, s := range found {
		name, err := tenantschema.ParseName("t_" + s.ID)
		if err != nil {
			return err
		}
		e.known[name.String()] = true
		object, login := "role "+name.String(), e.m.cfg.Logins.Cell(s.Cell)
		switch role, exists := e.roles[name.String()]; {
		case !exists:
			e.add("spare-missing", object, "waits for a tenant in the catalog, and is not there", "forget it",
				e.exec("delete from rowhouse.spare_roles where id = $1", s.ID))
		case !slices.Contains(role.Members, login):
			sql := "grant " + name.Quote() + " to " + pgx.Identifier{login}.Sanitize()
			e.add("membership-missing", object, "waits for a tenant, and "+login+" may not become it", sql,
				e.session(func(ctx context.Context, session *tenantschema.Session) error {
					return session.AddRoles(ctx, []tenantschema.Spec{{Name: name, Member: login}}, func(context.Context, pgx.Tx) error { return nil })
				}))
		case s.Forgotten:
			e.add("spare-taken", object, "was taken for a tenant that was never made", "give it back",
				e.exec("update rowhouse.spare_roles set taken_at = null where id = $1", s.ID))
		}
	}
	return nil
}

// orphanSchemas finds schemas of no tenant. Those without a row are dropped; what holds data is for people to judge.
func (e *examination) orphanSchemas(ctx context.Context, tx pgx.Tx) error {
	for _, text := range slices.Sorted(maps.Keys(e.schemas)) {
		if e.known[text] {
			continue
		}
		name, err := tenantschema.ParseName(text)
		if err != nil {
			return err
		}
		holds, err := tenantschema.HoldsData(ctx, tx, name)
		if err != nil {
			return err
		}
		drop := "drop schema " + name.Quote() + " cascade"
		if holds != "" {
			e.add("orphan-schema", "schema "+text, "belongs to no tenant, and holds data: "+holds, "look at it, keep what you need, then: "+drop, nil)
			continue
		}
		e.add("orphan-schema", "schema "+text, "belongs to no tenant, and holds no row", drop,
			e.session(func(ctx context.Context, session *tenantschema.Session) error {
				return session.Drop(ctx, name, func(ctx context.Context, tx pgx.Tx) error {
					still, err := readTenants(ctx, tx, "where schema_name = $1 and state <> 'deleted'", text)
					if err == nil && len(still) > 0 {
						err = errors.New("it has become a tenant's meanwhile")
					}
					return err
				})
			}))
	}
	return nil
}

// orphanRoles finds roles and logins of no tenant. Roles belong to the server: one that another database knows, or may know, is left alone, and
// one that none of our logins may become is only told of.
func (e *examination) orphanRoles(_ context.Context, _ pgx.Tx) error {
	for _, text := range slices.Sorted(maps.Keys(e.roles)) {
		role := e.roles[text]
		tenant := text[max(0, len(text)-len("t_")-idLen):]
		if role.Elsewhere || e.shared && !role.Here || e.known[tenant] || e.schemas[tenant] {
			continue // That of a schema is told with it.
		}
		drop := "drop role " + pgx.Identifier{text}.Sanitize()
		isLogin := text != tenant
		if role.Owns || !isLogin && !slices.ContainsFunc(role.Members, e.m.cfg.Logins.ours) {
			e.add("orphan-role", "role "+text, "belongs to no tenant", "if nobody else uses it: "+drop, nil)
			continue
		}
		e.add("orphan-role", "role "+text, "belongs to no tenant", drop, e.dropRole(text, isLogin))
	}
	return nil
}

func (e *examination) dropRole(role string, isLogin bool) func(context.Context) error {
	return func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, e.m.cfg.Pool, func(tx pgx.Tx) error {
			if isLogin {
				return dropLogin(ctx, tx, role)
			}
			return tenantschema.DropRole(ctx, tx, role)
		})
	}
}

// walls finds grants and seals that are missing.
func (e *examination) walls(ctx context.Context, tx pgx.Tx) error {
	var in Inspection
	want, err := e.m.expectation(ctx, tx, &in)
	if err != nil {
		return err
	}
	names, byName := make([]string, len(in.Tenants)), map[string]Tenant{}
	for i, t := range in.Tenants {
		names[i], byName[t.Schema.String()] = t.Schema.String(), t
	}
	rows, err := tx.Query(ctx, `select n.nspname::text from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.rolname = n.nspname
		where n.nspname = any($1::text[]::name[]) and not has_schema_privilege(r.oid, n.oid, 'USAGE') order by 1`, names)
	if err != nil {
		return err
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range locked {
		e.add("right-missing", "schema "+name, "the tenant's own role has no USAGE on it", "grant it", e.secure(byName[name]))
	}
	findings, err := tenantschema.Inspect(ctx, tx, want)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if t, ok := byName[f.Schema]; ok && slices.Contains([]string{"right-missing", "policy", "row-security"}, f.Kind) {
			e.add(f.Kind, f.Object, f.Problem, "bring the grants and the seal of "+t.Label()+" up to date", e.secure(t))
		}
	}
	return nil
}

// versionsAtOnce is how many schemas' versions are read by one statement, each of which is locked for its time.
const versionsAtOnce = 50

// versions compares what goose has written down in each schema with the catalog. goose's is what the next migration begins from.
func (e *examination) versions(ctx context.Context, tx pgx.Tx) error {
	var settled []Tenant
	for _, t := range e.tenants {
		if (t.State == StateReady || t.State == StateSuspended || t.State == StateWarm) && e.schemas[t.Schema.String()] {
			settled = append(settled, t)
		}
	}
	for some := range slices.Chunk(settled, versionsAtOnce) {
		names, byName := make([]tenantschema.Name, len(some)), map[string]Tenant{}
		for i, t := range some {
			names[i], byName[t.Schema.String()] = t.Schema, t
		}
		versions, err := tenantschema.SchemaVersions(ctx, tx, names)
		if err != nil {
			return err
		}
		for _, t := range some {
			version, known := versions[t.Schema]
			switch object := "tenant " + t.Label(); {
			case !known:
				e.add("version", object, "its schema has no "+tenantschema.VersionTable, "restore the schema from a backup", nil)
			case version != t.SchemaVersion:
				e.add("version", object, fmt.Sprintf("the catalog has it on version %d, its schema is on %d", t.SchemaVersion, version),
					"write down what the schema says", e.exec(`update rowhouse.tenants set schema_version = $2 where id = $1 and schema_version = $3`,
						t.ID, version, t.SchemaVersion))
			}
		}
	}
	return nil
}

// jobs finds those of tenants that are deleted or never were.
func (e *examination) jobs(ctx context.Context, tx pgx.Tx) error {
	if e.m.cfg.Jobs == nil {
		return nil
	}
	counts, err := e.m.cfg.Jobs.Count(ctx, tx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if e.known["t_"+id] {
			continue
		}
		e.add("jobs-left", "tenant "+id, fmt.Sprintf("the queue holds %d jobs of it, and it is deleted or never was", counts[id]), "remove them",
			func(ctx context.Context) error {
				return pgx.BeginFunc(ctx, e.m.cfg.Pool, func(tx pgx.Tx) error {
					_, err := e.m.cfg.Jobs.End(ctx, tx, id)
					return err
				})
			})
	}
	return nil
}
