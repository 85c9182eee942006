package tenantschema

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Finding is something in the database that is not as it should be.
type Finding struct {
	// Breach says that a wall between tenants has a hole. Otherwise it is something to look at.
	Breach bool `json:"breach"`
	// Schema is the tenant's schema that it concerns; "" for what concerns all.
	Schema string `json:"schema,omitempty"`
	// Kind is a word for programs, such as public-right, membership or policy.
	Kind string `json:"kind"`
	// Object is what is wrong, with its kind and its schema.
	Object string `json:"object"`
	// Problem says what is wrong with it.
	Problem string `json:"problem"`
	// Mend is what puts it right: a statement for the owner, or a command, or a sentence.
	Mend string `json:"mend"`
}

// ExpectedTenant is how one tenant should stand.
type ExpectedTenant struct {
	Name Name
	// Sealed says that every table has the seal's policies.
	Sealed bool
	// Login is the only role that may enter the tenant.
	Login string
}

// Expectation is how a database should stand, as far as the walls between tenants go.
type Expectation struct {
	// Tenants are looked into: those whose schema is complete.
	Tenants []ExpectedTenant
	// Known are all schemas and roles of tenants that are somebody's, looked into or not, and the roles that wait for a tenant.
	Known []string
	// Cells are the login roles of the cells.
	Cells []string
	// ControlRole reads the catalog, EnqueueRole is what [Tx.AsPlatform] becomes.
	ControlRole, EnqueueRole string
	// LoginPattern is a regular expression that the names of the engine's logins match, also those of another database of the server.
	LoginPattern string
	// PlatformSchemas hold the platform's own tables, on which only the two roles above have rights. The schema seal need not be named.
	PlatformSchemas []string
}

// check is one question to the catalogs. Its query gives a row for each thing that is wrong: kind, schema, object, problem, mend.
type check struct {
	breach bool
	sql    string
}

// inspectWorkMem is for the joins over all catalogs, which sort and hash hundreds of thousands of rows where there are thousands of tenants.
const inspectWorkMem = "64MB"

// Inspect compares the catalogs with what should be there: owners, rights, policies, views, functions, references from one schema into
// another, roles, memberships, and what PUBLIC may do. The number of its queries does not grow with the number of tenants. It takes no
// rights but to read the catalogs, and changes nothing; tx should be of a kind that sees one state of the database throughout (repeatable read).
func Inspect(ctx context.Context, tx pgx.Tx, want Expectation) ([]Finding, error) {
	for _, sql := range []string{"set local search_path = ''", "set local jit = off", "set local work_mem = '" + inspectWorkMem + "'"} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
	}
	args := want.args()
	var owner string
	err := tx.QueryRow(ctx, `select pg_catalog.pg_get_userbyid(datdba)::text from pg_catalog.pg_database
		where datname = pg_catalog.current_database()`).Scan(&owner)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	args["owner"] = owner
	var found []Finding
	for _, c := range slices.Concat(schemaChecks(), policyChecks(), referenceChecks(), roleChecks(), platformChecks()) {
		rows, err := tx.Query(ctx, c.sql, args)
		if err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		some, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Finding, error) {
			f := Finding{Breach: c.breach}
			return f, row.Scan(&f.Kind, &f.Schema, &f.Object, &f.Problem, &f.Mend)
		})
		if err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(order(b.Breach)-order(a.Breach), cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Problem, b.Problem))
	})
	return slices.Compact(found), nil
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// args are what the checks' queries may ask for by name.
func (want Expectation) args() pgx.NamedArgs {
	schemas, logins, sealed := []string{}, []string{}, []string{}
	for _, t := range want.Tenants {
		schemas, logins = append(schemas, t.Name.String()), append(logins, t.Login)
		if t.Sealed {
			sealed = append(sealed, t.Name.String())
		}
	}
	engine := slices.Concat(want.Cells, logins)
	slices.Sort(engine)
	return pgx.NamedArgs{
		"schemas": schemas, "logins": logins, "sealed": sealed, "known": append([]string{}, want.Known...),
		"engine": slices.Compact(engine), "control": want.ControlRole, "enqueue": want.EnqueueRole, "pattern": want.LoginPattern,
		"platform": append([]string{"seal"}, want.PlatformSchemas...), "body": sealedBody(), "goose": VersionTable,
	}
}

// grantee names the role of a.grantee in SQL, where r is the row of pg_roles that was joined to it.
const grantee = `case when a.grantee = 0 then 'public' else coalesce(pg_catalog.quote_ident(r.rolname), 'role ' || a.grantee) end`

// granted is the list of the privileges of a group of rows of aclexplode, lower-case, for a statement.
const granted = `pg_catalog.lower(pg_catalog.string_agg(distinct a.privilege_type, ', '))`

// aclKind tells rights of everybody from rights of somebody.
const aclKind = `case when a.grantee = 0 then 'public-right' else 'right' end`

// aclProblem says who may do what.
const aclProblem = `case when a.grantee = 0 then 'everybody (PUBLIC)' else ` + grantee + ` end || ' has ' || ` + granted +
	` || case when a.is_grantable then ', and may grant it to others' else '' end`
