package migrationlint

import "slices"

// Rule is one thing that the linter looks for.
type Rule struct {
	Name     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Kind     Kind     `json:"kind,omitempty"`
	// Looks says what is found, Why it matters, Safe how to do it instead.
	Looks string `json:"looks_for"`
	Why   string `json:"why"`
	Safe  string `json:"safe_way"`
}

// The rules' names, as findings and lint:allow comments bear them.
const (
	ruleSyntax     = "syntax"
	ruleGoose      = "goose"
	ruleEnvsub     = "envsub"
	ruleSchema     = "schema-name"
	ruleRole       = "role"
	ruleRights     = "rights"
	ruleSeal       = "seal"
	ruleDefiner    = "security-definer"
	ruleSetting    = "setting"
	ruleDatabase   = "database-object"
	ruleTx         = "transaction"
	ruleOutside    = "outside"
	ruleStar       = "select-star"
	ruleMatview    = "materialized-view"
	ruleDynamic    = "dynamic-sql"
	ruleNoTx       = "needs-no-transaction"
	ruleBadAllow   = "bad-allow"
	ruleUnused     = "unused-allow"
	ruleAlterType  = "alter-type"
	ruleNotNull    = "set-not-null"
	ruleDefault    = "volatile-default"
	ruleNewNotNull = "add-not-null"
	ruleForeignKey = "add-foreign-key"
	ruleCheck      = "add-check"
	ruleValidate   = "validate-constraint"
	ruleUnique     = "add-unique"
	ruleIndex      = "create-index"
	ruleRewrite    = "rewrite-table"
	ruleWrite      = "write-table"
	ruleLockTable  = "lock-table"
	ruleTruncate   = "truncate"
	ruleDrop       = "drop"
	ruleRename     = "rename"
	rulePrimaryKey = "no-primary-key"
	ruleUnnamed    = "unnamed-constraint"
	ruleMany       = "many-constraints"
	ruleSerial     = "serial"
)

// Rules lists all rules: first the errors, then the warnings.
func Rules() []Rule { return append(errorRules(), warningRules()...) }

func errorRules() []Rule {
	return []Rule{
		{ruleSyntax, Error, "", "text that PostgreSQL's parser does not take", "it fails in the first tenant",
			"mend the SQL; what has a line that ends in ; inside stands between -- +goose StatementBegin and -- +goose StatementEnd"},
		{ruleGoose, Error, "", "a file's name or annotations that goose refuses or reads otherwise than they look", "the file does not run, or not all of it",
			"-- +goose Up, statements that end in ; at the end of a line, -- +goose Down, and what takes them back"},
		{ruleEnvsub, Error, "", "-- +goose ENVSUB", "the text would depend on who runs it, and all tenants must get the same", "write the value into the file"},
		{ruleSchema, Error, "", "a name with a schema, public included, but for functions, types and operators of pg_catalog; SET SCHEMA",
			"a file runs in every tenant's schema; a name with a schema is one and the same thing for all of them", "leave the schema out"},
		{ruleRole, Error, "", "CREATE, ALTER and DROP ROLE or USER, membership, SET ROLE, SET SESSION AUTHORIZATION", "roles belong to the whole server and to the platform",
			"leave it out: the provisioner makes the tenant's role"},
		{ruleRights, Error, "", "GRANT, REVOKE, OWNER TO, ALTER DEFAULT PRIVILEGES, REASSIGN and DROP OWNED",
			"the provisioner gives each tenant's role its rights after every migration, and isolation prove reports others", "leave it out"},
		{ruleSeal, Error, "", "policies named seal or seal_open, DISABLE and NO FORCE ROW LEVEL SECURITY", "they are what keeps other tenants' roles out, and the provisioner's",
			"leave them alone; give a policy of your own another name"},
		{ruleDefiner, Error, "", "SECURITY DEFINER functions", "they run as the owner of all tenants, whom no policy binds",
			"SECURITY INVOKER, or Go code"},
		{ruleSetting, Error, "", "SET, SET LOCAL, RESET, DISCARD, set_config, a function's SET clause, UPDATE pg_settings",
			"role, path and seal are settings, and so are the timeouts of the run: they are the platform's", "leave it out; ask for a timeout in the configuration of the run"},
		{ruleDatabase, Error, "", "schemas, databases, extensions, event triggers, publications, subscriptions, foreign servers and tables, tablespaces, languages, casts",
			"they are the database's, not the tenant's", "a file in migrations/control, once for all tenants"},
		{ruleTx, Error, "", "BEGIN, COMMIT, ROLLBACK, SAVEPOINT, in procedures and DO blocks too", "a file is one transaction, with its version row and the seal's policies",
			"leave it out, or mark the whole file -- +goose NO TRANSACTION"},
		{ruleOutside, Error, "", "COPY, functions that read or write the server's files, large objects", "no schema bounds them, and nobody is at a migration's standard input",
			"INSERT … VALUES; bytea, or a file store"},
		{ruleStar, Error, "", "SELECT *, RETURNING *, TABLE t", "its columns change under plans and views while a fleet is half migrated", "list the columns"},
		{ruleMatview, Error, "", "materialized views", "PostgreSQL has no policies on them, so they cannot be sealed", "a table that a job fills, or a view"},
		{ruleDynamic, Error, "", "queries put together at run time (EXECUTE, query_to_xml, dblink, …), bodies in languages other than SQL and PL/pgSQL, or that cannot be read",
			"nobody can say before what they will do", "static SQL; Go code"},
		{ruleNoTx, Error, "", "CONCURRENTLY and VACUUM in a file that runs in a transaction", "PostgreSQL refuses them there",
			"a file of its own, with -- +goose NO TRANSACTION at its top and nothing else in it"},
		{ruleBadAllow, Error, "", "lint:allow without a reason, or for a rule that there is not", "the reason is what the next reader needs", "-- lint:allow RULE why it does no harm here"},
	}
}

func warningRules() []Rule {
	return []Rule{
		{ruleUnused, Warning, "", "lint:allow for a rule that finds nothing there", "it would hide the next finding", "take the comment away"},
		{ruleAlterType, Warning, Rewrite, "ALTER COLUMN … TYPE, unless an earlier file shows that the old type needs no rewrite (varchar(n) to text or longer)",
			"the table and its indexes are written anew while nobody may read it",
			"add a column of the new type, write both, fill it by a job in batches, read the new one, drop the old one a release later"},
		{ruleNotNull, Warning, Lock, "SET NOT NULL on a column that no validated CHECK (column IS NOT NULL) holds", "the whole table is read while nobody may read it",
			"ADD CONSTRAINT c CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT c in a later file; then SET NOT NULL, which believes it"},
		{ruleDefault, Warning, Rewrite, "ADD COLUMN with a default that may differ from row to row (random(), gen_random_uuid(), nextval, serial, identity, unknown functions), or GENERATED … STORED",
			"each row is written anew while nobody may read the table", "ADD COLUMN without default; SET DEFAULT for new rows; fill the old ones by a job in batches"},
		{ruleNewNotNull, Warning, Breaks, "ADD COLUMN … NOT NULL without a default", "it fails where there are rows, and code of the release before does not fill it",
			"a constant default, or a nullable column that is made NOT NULL a release later"},
		{ruleForeignKey, Warning, Lock, "a FOREIGN KEY without NOT VALID on a table that was there before", "both tables take no writes while all rows are looked up",
			"ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a later file"},
		{ruleCheck, Warning, Lock, "a CHECK without NOT VALID on a table that was there before", "the whole table is read while nobody may read it",
			"ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a later file"},
		{ruleValidate, Warning, Lock, "VALIDATE CONSTRAINT in the file that adds the constraint", "the lock of ADD CONSTRAINT is held until the file's end, so others wait for the look at all rows after all",
			"VALIDATE CONSTRAINT in a later file"},
		{ruleUnique, Warning, Lock, "PRIMARY KEY, UNIQUE or EXCLUDE, not USING INDEX, on a table that was there before", "the index is built while nobody may read the table",
			"CREATE UNIQUE INDEX CONCURRENTLY in a file of its own, then ADD CONSTRAINT … USING INDEX"},
		{ruleIndex, Warning, Lock, "CREATE INDEX without CONCURRENTLY on a table that was there before", "nobody may write the table while the index is built",
			"CREATE INDEX CONCURRENTLY in a file of its own with -- +goose NO TRANSACTION"},
		{ruleRewrite, Warning, Rewrite, "VACUUM FULL, CLUSTER, REINDEX without CONCURRENTLY, SET TABLESPACE, LOGGED or UNLOGGED, ACCESS METHOD, generation expressions",
			"table or index is written anew while nobody may use it", "leave it to autovacuum; REINDEX … CONCURRENTLY"},
		{ruleWrite, Warning, Rewrite, "UPDATE and DELETE that no equality bounds, INSERT … SELECT and MERGE from a table, on a table that was there before",
			"all rows are locked and written in one transaction, and the tenant's file holds its lock for as long", "fill by a job in batches, after the migration"},
		{ruleLockTable, Warning, Lock, "LOCK TABLE", "it keeps others out until the file's end",
			"leave it out: each statement takes the lock that it needs"},
		{ruleTruncate, Warning, Lock, "TRUNCATE", "it keeps everybody out, and what is gone is gone in every tenant", "delete by a job in batches"},
		{ruleDrop, Warning, Breaks, "DROP TABLE, VIEW or COLUMN", "code of the release before still reads it, and no Down brings the data back",
			"expand and contract: drop it one release after the last code that reads it, and then allow it with that reason"},
		{ruleRename, Warning, Breaks, "RENAME of a table, view or column", "code of the release before knows only the old name",
			"expand and contract: add the new one, write both, fill, read the new one, drop the old one a release later"},
		{rulePrimaryKey, Warning, Portable, "CREATE TABLE without a primary key", "neither logical replication nor distribution works without",
			"CONSTRAINT table_pkey PRIMARY KEY (id)"},
		{ruleUnnamed, Warning, Portable, "ADD of a constraint without a name", "its name may differ from tenant to tenant",
			"ADD CONSTRAINT table_column_check …"},
		{ruleMany, Warning, Portable, "several ADD CONSTRAINT in one ALTER TABLE", "Citus refuses it", "an ALTER TABLE for each"},
		{ruleSerial, Warning, Portable, "serial, bigserial, identity columns", "the sequence is one more object a tenant, and ids tell how many rows there are",
			"uuid, made by the application (version 7 sorts by time)"},
	}
}

// ruleOf gives the rule of that name.
func ruleOf(name string) Rule {
	all := Rules()
	i := slices.IndexFunc(all, func(r Rule) bool { return r.Name == name })
	return all[i]
}

// known reports whether there is such a rule, and whether a comment may allow what it finds: a file that cannot be read, no reason excuses.
func known(name string) (known, allowable bool) {
	known = slices.ContainsFunc(Rules(), func(r Rule) bool { return r.Name == name })
	return known, known && !slices.Contains([]string{ruleSyntax, ruleGoose, ruleEnvsub, ruleBadAllow, ruleUnused}, name)
}
