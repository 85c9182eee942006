package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// tenantPattern is the form of tenants' schemas and roles.
const tenantPattern = "^t_[a-z0-9]{16}$"

// rightsShown is how many rights of one kind are spelled out for a login.
const rightsShown = 10

// CheckRights logs in as the control role and as each of the cells' roles, and asks PostgreSQL what they may do. [apperr.Refused] if that is
// more than serving and working needs: a fault in a process would then reach further than the walls between the tenants are drawn. The
// error's fields name each right, by the role that has it, in words and with the SQL that takes it away. It is for operators.
//
// Rights come from a role's attributes, its memberships, what it owns, and what was granted to it or to everybody. All five are looked
// at, those in tenants' schemas as far as a schema lets somebody in at all. It takes a few queries for each role, whatever the number
// of tenants.
func CheckRights(ctx context.Context, logins *Logins, cells ...string) error {
	var found []apperr.Field
	for i, role := range append([]string{logins.Control()}, cells...) {
		excess, err := excessOf(ctx, logins, role, i > 0)
		if err != nil {
			return err
		}
		for _, field := range excess {
			if !slices.Contains(found, field) { // What everybody may is found from each login.
				found = append(found, field)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	err := apperr.New(apperr.Refused, "the roles that this process logs in as may do more than they should: take these rights away as the "+
		"database's owner or a superuser, run `rowhouse migrate up`, which gives back what they need, and start it again")
	err.Fields = found
	return err
}

// excessOf gives the rights that a login should not have.
func excessOf(ctx context.Context, logins *Logins, role string, isCell bool) ([]apperr.Field, error) {
	cfg, err := logins.As(role)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["search_path"] = "pg_catalog" // Whatever its own setting is: the queries are written for this.
	cfg.RuntimeParams["jit"] = "off"                // Compiling them would take longer than running them.
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, apperr.Wrap(err, apperr.Unavailable, "the database cannot be used as %s: check database.url and database.login_secret, "+
			"and that `rowhouse migrate up` has run", role)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Nothing was written.
	var all []apperr.Field
	c := rightsCheck{conn: conn, isCell: isCell, enqueuer: logins.Enqueuer()}
	for _, find := range []func(context.Context) ([]apperr.Field, error){
		c.byRole(sqlAttributes), c.byRole(sqlMemberships), c.byRole(sqlOwned), c.grants,
	} {
		fields, err := find(ctx)
		if err != nil {
			return nil, fmt.Errorf("check rights of %s: %w", role, err)
		}
		if more := len(fields) - rightsShown; more > 0 {
			fields = append(fields[:rightsShown:rightsShown], apperr.Field{Path: role, Message: fmt.Sprintf("and %d more like these", more)})
		}
		all = append(all, fields...)
	}
	return all, nil
}

// ofRole is a right that should not be, as most of the queries find it.
type ofRole struct {
	Role     string // quoted as far as needed, like all names here
	IsTenant bool   // It is the right of a tenant that the login may become.
	Words    string
	Remedy   string
}

func (r ofRole) field() apperr.Field {
	if r.IsTenant {
		return apperr.Field{Path: r.Role, Message: "a tenant, " + r.Words + ": " + r.Remedy}
	}
	return apperr.Field{Path: r.Role, Message: r.Words + ": " + r.Remedy}
}

// rightsCheck asks about one login.
type rightsCheck struct {
	conn     *pgx.Conn
	isCell   bool
	enqueuer string // the role that a cell may become to enqueue
}

// byRole runs one of the queries whose rows are rights.
func (c rightsCheck) byRole(sql string) func(context.Context) ([]apperr.Field, error) {
	return func(ctx context.Context) ([]apperr.Field, error) {
		rows, err := c.conn.Query(ctx, sql, c.isCell, tenantPattern, c.enqueuer)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (apperr.Field, error) {
			r, err := pgx.RowToStructByPos[ofRole](row)
			return r.field(), err
		})
	}
}

// grant is one privilege on one object.
type grant struct {
	Kind      string // DATABASE, SCHEMA, TABLE, SEQUENCE, ROUTINE or TYPE
	Schema    string // of the object, if it is in one
	Name      string
	Object    string // quoted and, unless it is in pg_catalog, with its schema
	Privilege string // as in GRANT, with the column if it is for one
	Grantable bool
	Holder    string // a role, or PUBLIC
	IsTenant  bool
}

// allowed says what a login needs, and the enqueuer that a cell's may become. It is the whole list: what is not on it is too much.
func (c rightsCheck) allowed(g grant) bool {
	schema := g.Schema
	if g.Kind == "SCHEMA" {
		schema = g.Name
	}
	river := schema == "river"
	switch {
	case g.Grantable:
		return false
	case g.Kind == "DATABASE":
		return g.Privilege == "CONNECT"
	case g.IsTenant:
		return false
	case g.Holder == "PUBLIC":
		return g.Kind == "SCHEMA" && g.Privilege == "USAGE" && !isOurs(g.Name)
	case c.isCell && g.Holder != pgx.Identifier{c.enqueuer}.Sanitize() && g.Holder != c.enqueuer:
		return false // A cell has nothing of its own.
	case g.Kind == "SCHEMA":
		return g.Privilege == "USAGE" && (river || (schema == "rowhouse" || schema == "seal") && !c.isCell)
	case g.Kind == "TABLE" && c.isCell: // It enqueues.
		return river && g.Name == "river_job" &&
			(g.Privilege == "SELECT" || g.Privilege == "UPDATE (kind)" || strings.HasPrefix(g.Privilege, "INSERT ("))
	case g.Kind == "TABLE" && schema == "seal": // The names of the keys, not the keys.
		return g.Name == "keys" && slices.Contains([]string{"SELECT (id)", "SELECT (hint)", "SELECT (created_at)"}, g.Privilege)
	case g.Kind == "TABLE" && river && g.Name != "river_migration":
		return slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, g.Privilege)
	case g.Kind == "TABLE" && schema == "rowhouse" && g.Name == "signups": // It takes them, and never learns a password's hash.
		column, ok := strings.CutPrefix(g.Privilege, "SELECT (")
		return ok && column != "password_hash)" || strings.HasPrefix(g.Privilege, "INSERT (")
	case g.Kind == "TABLE": // The rest of the catalog is written by the owner alone.
		return g.Privilege == "SELECT" && (river || schema == "rowhouse")
	default:
		return river && (g.Privilege == "USAGE" || g.Privilege == "EXECUTE")
	}
}

// isOurs reports whether nobody but named roles has any business in a schema.
func isOurs(schema string) bool {
	id, isTenants := strings.CutPrefix(schema, "t_")
	return slices.Contains([]string{"public", "rowhouse", "river", "seal"}, schema) || isTenants && ValidID(id)
}

// excess says which privileges on one object are too much.
func (g grant) excess(privileges []string) apperr.Field {
	list := strings.Join(privileges, ", ")
	object := g.Kind + " " + g.Object
	words, remedy := "has "+list+" on "+strings.ToLower(g.Kind)+" "+g.Object, "REVOKE "+list+" ON "+object+" FROM "+g.Holder
	if g.Grantable {
		words += ", and may give it to others"
	}
	role := g.Holder
	if g.Holder == "PUBLIC" {
		role = "everybody"
	}
	return ofRole{role, g.IsTenant, words, remedy}.field()
}

// grants compares what was granted with what is needed.
func (c rightsCheck) grants(ctx context.Context) ([]apperr.Field, error) {
	rows, err := c.conn.Query(ctx, sqlGrants, c.isCell, tenantPattern, c.enqueuer)
	if err != nil {
		return nil, err
	}
	grants, err := pgx.CollectRows(rows, pgx.RowToStructByPos[grant])
	if err != nil {
		return nil, err
	}
	grants = slices.DeleteFunc(grants, c.allowed)
	var fields []apperr.Field
	for len(grants) > 0 { // They come in order.
		first := grants[0]
		privileges := []string{first.Privilege}
		n := 1
		for ; n < len(grants) && grants[n].Holder == first.Holder && grants[n].Kind == first.Kind && grants[n].Object == first.Object; n++ {
			privileges = append(privileges, grants[n].Privilege)
			first.Grantable = first.Grantable || grants[n].Grantable
		}
		fields = append(fields, first.excess(privileges))
		grants = grants[n:]
	}
	return fields, nil
}
