package migrationlint

import (
	"slices"
	"strings"
)

// refusedKinds are statements that are refused whatever they say: PostgreSQL's name of the node, the rule, and what it is in SQL.
func refusedKinds() map[string][2]string {
	return map[string][2]string{
		"CreateRoleStmt":               {ruleRole, "CREATE ROLE"},
		"AlterRoleStmt":                {ruleRole, "ALTER ROLE"},
		"AlterRoleSetStmt":             {ruleRole, "ALTER ROLE … SET"},
		"DropRoleStmt":                 {ruleRole, "DROP ROLE"},
		"GrantRoleStmt":                {ruleRole, "a change of a role's membership"},
		"CreateUserMappingStmt":        {ruleRole, "CREATE USER MAPPING"},
		"AlterUserMappingStmt":         {ruleRole, "ALTER USER MAPPING"},
		"DropUserMappingStmt":          {ruleRole, "DROP USER MAPPING"},
		"GrantStmt":                    {ruleRights, "GRANT or REVOKE"},
		"AlterDefaultPrivilegesStmt":   {ruleRights, "ALTER DEFAULT PRIVILEGES"},
		"ReassignOwnedStmt":            {ruleRights, "REASSIGN OWNED"},
		"DropOwnedStmt":                {ruleRights, "DROP OWNED"},
		"AlterOwnerStmt":               {ruleRights, "OWNER TO"},
		"AlterTableMoveAllStmt":        {ruleDatabase, "ALTER TABLE ALL IN TABLESPACE"},
		"AlterObjectSchemaStmt":        {ruleSchema, "SET SCHEMA"},
		"DiscardStmt":                  {ruleSetting, "DISCARD"},
		"CreateSchemaStmt":             {ruleDatabase, "CREATE SCHEMA"},
		"CreatedbStmt":                 {ruleDatabase, "CREATE DATABASE"},
		"AlterDatabaseStmt":            {ruleDatabase, "ALTER DATABASE"},
		"AlterDatabaseSetStmt":         {ruleDatabase, "ALTER DATABASE … SET"},
		"AlterDatabaseRefreshCollStmt": {ruleDatabase, "ALTER DATABASE"},
		"DropdbStmt":                   {ruleDatabase, "DROP DATABASE"},
		"CreateExtensionStmt":          {ruleDatabase, "CREATE EXTENSION"},
		"AlterExtensionStmt":           {ruleDatabase, "ALTER EXTENSION"},
		"AlterExtensionContentsStmt":   {ruleDatabase, "ALTER EXTENSION"},
		"CreateEventTrigStmt":          {ruleDatabase, "CREATE EVENT TRIGGER"},
		"AlterEventTrigStmt":           {ruleDatabase, "ALTER EVENT TRIGGER"},
		"CreatePublicationStmt":        {ruleDatabase, "CREATE PUBLICATION"},
		"AlterPublicationStmt":         {ruleDatabase, "ALTER PUBLICATION"},
		"CreateSubscriptionStmt":       {ruleDatabase, "CREATE SUBSCRIPTION"},
		"AlterSubscriptionStmt":        {ruleDatabase, "ALTER SUBSCRIPTION"},
		"DropSubscriptionStmt":         {ruleDatabase, "DROP SUBSCRIPTION"},
		"CreateFdwStmt":                {ruleDatabase, "CREATE FOREIGN DATA WRAPPER"},
		"AlterFdwStmt":                 {ruleDatabase, "ALTER FOREIGN DATA WRAPPER"},
		"CreateForeignServerStmt":      {ruleDatabase, "CREATE SERVER"},
		"AlterForeignServerStmt":       {ruleDatabase, "ALTER SERVER"},
		"CreateForeignTableStmt":       {ruleDatabase, "CREATE FOREIGN TABLE"},
		"ImportForeignSchemaStmt":      {ruleDatabase, "IMPORT FOREIGN SCHEMA"},
		"CreateTableSpaceStmt":         {ruleDatabase, "CREATE TABLESPACE"},
		"DropTableSpaceStmt":           {ruleDatabase, "DROP TABLESPACE"},
		"AlterTableSpaceOptionsStmt":   {ruleDatabase, "ALTER TABLESPACE"},
		"AlterSystemStmt":              {ruleDatabase, "ALTER SYSTEM"},
		"CreatePLangStmt":              {ruleDatabase, "CREATE LANGUAGE"},
		"CreateAmStmt":                 {ruleDatabase, "CREATE ACCESS METHOD"},
		"CreateCastStmt":               {ruleDatabase, "CREATE CAST"},
		"CreateTransformStmt":          {ruleDatabase, "CREATE TRANSFORM"},
		"LoadStmt":                     {ruleDatabase, "LOAD"},
		"CheckPointStmt":               {ruleDatabase, "CHECKPOINT"},
		"TransactionStmt":              {ruleTx, "a statement that begins or ends a transaction"},
		"CopyStmt":                     {ruleOutside, "COPY"},
		"RefreshMatViewStmt":           {ruleMatview, "REFRESH MATERIALIZED VIEW"},
	}
}

// databaseObjects are the kinds of objects that belong to the database or the server, as DROP, COMMENT and RENAME name them.
func databaseObjects() []string {
	return []string{
		"OBJECT_SCHEMA", "OBJECT_DATABASE", "OBJECT_EXTENSION", "OBJECT_EVENT_TRIGGER", "OBJECT_PUBLICATION", "OBJECT_SUBSCRIPTION", "OBJECT_FDW",
		"OBJECT_FOREIGN_SERVER", "OBJECT_FOREIGN_TABLE", "OBJECT_TABLESPACE", "OBJECT_LANGUAGE", "OBJECT_ACCESS_METHOD", "OBJECT_CAST",
		"OBJECT_TRANSFORM",
	}
}

// hard finds what no tenant's file may hold, anywhere in the statement.
func (c *checker) hard(s statement, in span) {
	w := &walker{c: c, in: in, refused: refusedKinds()}
	w.typed(s.kind, s.node, place{at: -1, parts: 1})
}

// walker goes through a parsed statement.
type walker struct {
	c       *checker
	in      span
	refused map[string][2]string
}

// place is where the walker is: the location of the nearest node that has one, and how many parts a name without a schema has there.
type place struct{ at, parts int }

func (w *walker) found(rule string, at place, format string, args ...any) {
	w.c.found(rule, w.in, at.at, format, args...)
}

// visit goes through whatever stands under a key of its parent.
func (w *walker) visit(key string, v any, at place) {
	switch v := v.(type) {
	case []any:
		if parts := names(v); len(parts) > at.parts && !listsNames(key) && parts[0] != "pg_catalog" {
			w.found(ruleSchema, at, "%s names the schema %s", strings.Join(parts, "."), parts[len(parts)-at.parts-1])
		}
		for _, item := range v {
			w.visit("", item, at)
		}
	case map[string]any:
		kind, inner := unwrap(v)
		w.typed(kind, inner, at)
	}
}

// typed visits a node. kind is "" where the parent's field says the type.
func (w *walker) typed(kind string, n node, at place) {
	if location, ok := n["location"].(float64); ok && location >= 0 {
		at.at = int(location)
	}
	if n.flag("pct_type") { // column%TYPE
		at.parts = 2
	}
	refusal, refused := w.refused[kind]
	switch kind {
	case "VariableSetStmt":
		w.setting(n, at)
	case "DefElem":
		at = w.option(n, at)
	case "ColumnRef":
		w.column(n, at)
	case "TypeCast":
		w.cast(n, at)
	case "UpdateStmt":
		if n.child("relation").text("relname") == "pg_settings" {
			w.found(ruleSetting, at, "an UPDATE of pg_settings is a SET")
		}
	case "CreateTableAsStmt":
		if n.text("objtype") == "OBJECT_MATVIEW" {
			w.found(ruleMatview, at, "CREATE MATERIALIZED VIEW %s", n.child("into").child("rel").text("relname"))
		}
	default:
		if refused {
			w.found(refusal[0], at, "%s", refusal[1])
		} else {
			at = w.objects(kind, n, at)
		}
	}
	w.named(n, at)
	w.c.needsNoTx(kind, n, w.in, at.at)
	for key, v := range n {
		w.visit(key, v, at)
	}
}

// setting reports SET and RESET.
func (w *walker) setting(n node, at place) {
	name := n.text("name")
	if name == "role" || name == "session_authorization" {
		w.found(ruleRole, at, "SET of the role")
		return
	}
	if name == "" {
		name = "ALL"
	}
	w.found(ruleSetting, at, "SET or RESET of %s", name)
}

// option looks at an option of a statement.
func (w *walker) option(n node, at place) place {
	switch n.text("defname") {
	case "security":
		if n.child("arg").flag("boolval") {
			w.found(ruleDefiner, at, "SECURITY DEFINER")
		}
	case "owned_by": // table.column
		at.parts = 2
	}
	return at
}

// objects looks at statements about objects of several kinds.
func (w *walker) objects(kind string, n node, at place) place {
	objects := []string{n.text("removeType"), n.text("objtype"), n.text("renameType")}
	for _, object := range objects {
		switch {
		case slices.Contains(databaseObjects(), object):
			w.found(ruleDatabase, at, "a statement about a %s", strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(object, "OBJECT_"), "_", " ")))
		case object == "OBJECT_ROLE":
			w.found(ruleRole, at, "a statement about a role")
		case object == "OBJECT_MATVIEW" && kind != "DropStmt":
			w.found(ruleMatview, at, "a statement about a materialized view")
		case slices.Contains([]string{"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"}, object):
			at.parts = 2 // The table, and what is named within it.
		}
		if object == "OBJECT_POLICY" {
			w.policy(n.text("subname"), at)
			w.policy(n.text("newname"), at)
			for _, item := range append(n.list("objects"), n["object"]) {
				w.policy(lastName(node(asMap(item)).child("List").list("items")), at)
			}
		}
	}
	switch kind {
	case "CreatePolicyStmt", "AlterPolicyStmt":
		w.policy(n.text("policy_name"), at)
		for _, role := range n.list("roles") {
			if _, spec := unwrap(role); spec.text("rolename") != "" {
				w.found(ruleRole, at, "the policy names the role %s", spec.text("rolename"))
			}
		}
	case "AlterTableCmd":
		switch n.text("subtype") {
		case "AT_ChangeOwner":
			w.found(ruleRights, at, "OWNER TO")
		case "AT_DisableRowSecurity":
			w.found(ruleSeal, at, "DISABLE ROW LEVEL SECURITY")
		case "AT_NoForceRowSecurity":
			w.found(ruleSeal, at, "NO FORCE ROW LEVEL SECURITY")
		}
	}
	return at
}

// policy reports a policy that is the seal's.
func (w *walker) policy(name string, at place) {
	if name == "seal" || name == "seal_open" {
		w.found(ruleSeal, at, "the policy %s is the platform's", name)
	}
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
