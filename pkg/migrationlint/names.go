package migrationlint

import (
	"slices"
	"strings"
)

// listsNames reports whether the list under a key of PostgreSQL's nodes holds names that stand side by side. Any other list of names is one
// name with its parts, and a key that is not known here is taken for that: so nothing is missed.
func listsNames(key string) bool {
	return slices.Contains([]string{
		"aliascolnames", "aliases", "args", "attlist", "colNames", "colnames", "cols", "columns", "ctecolnames", "cycle_col_list", "fields",
		"fk_attrs", "fk_del_set_cols", "including", "indirection", "keys", "pk_attrs", "search_col_list", "tokentype",
		"usingClause", "va_cols", "vals",
	}, key)
}

// named looks at the nodes that bear names in fields of their own: tables, types and functions.
func (w *walker) named(n node, at place) {
	if table := n.text("relname"); table != "" {
		if schema := n.text("schemaname"); schema != "" {
			w.found(ruleSchema, at, "%s.%s names the schema %s", schema, table, schema)
		}
	}
	if function := n.list("funcname"); function != nil {
		w.function(lastName(function), n.list("args"), at)
	}
}

// column looks at a column's name, which may be *.
func (w *walker) column(n node, at place) {
	var parts []string
	for _, field := range n.list("fields") {
		kind, inner := unwrap(field)
		if kind == "A_Star" {
			w.found(ruleStar, at, "* stands for whatever columns there are")
			parts = append(parts, "*")
			continue
		}
		parts = append(parts, inner.text("sval"))
	}
	if len(parts) > 2 { // table.column; a field of a composite needs parentheses.
		w.found(ruleSchema, at, "%s names the schema %s", strings.Join(parts, "."), parts[len(parts)-3])
	}
}

// function looks at the call of a function, or at a trigger's function.
func (w *walker) function(name string, args []any, at place) {
	outside := []string{"pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "pg_file_write", "loread", "lowrite"}
	dynamic := []string{
		"query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "cursor_to_xml", "schema_to_xml", "schema_to_xmlschema",
		"schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xmlschema", "database_to_xml_and_xmlschema", "ts_stat", "ts_rewrite",
		"crosstab", "connectby", "xpath_table",
	}
	byText := []string{
		"nextval", "currval", "setval", "to_regclass", "to_regproc", "to_regprocedure", "to_regtype", "to_regoper", "to_regoperator",
		"pg_get_serial_sequence", "table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema",
	}
	switch {
	case name == "set_config":
		w.found(ruleSetting, at, "set_config")
	case slices.Contains(outside, name) || strings.HasPrefix(name, "lo_") || strings.HasPrefix(name, "pg_ls_"):
		w.found(ruleOutside, at, "%s reaches files or large objects", name)
	case slices.Contains(dynamic, name) || strings.HasPrefix(name, "dblink"):
		w.found(ruleDynamic, at, "%s runs a query given as text", name)
	case name == "to_regnamespace" || name == "to_regrole":
		w.found(ruleSchema, at, "%s names a schema or role", name)
	case slices.Contains(byText, name) && len(args) > 0:
		text, _ := constant(args[0])
		w.textName(text, at)
	}
}

// cast looks at a constant that is cast to one of the types that stand for an object's name.
func (w *walker) cast(n node, at place) {
	text, ok := constant(n["arg"])
	if !ok {
		return
	}
	switch target := lastName(n.child("typeName").list("names")); target {
	case "regnamespace", "regrole":
		w.found(ruleSchema, at, "%q names a schema or role", text)
	case "regclass", "regproc", "regprocedure", "regtype", "regoper", "regoperator", "regcollation", "regconfig", "regdictionary":
		w.textName(text, at)
	}
}

// textName looks at a name that is given as text.
func (w *walker) textName(text string, at place) {
	name, _, _ := strings.Cut(text, "(") // A function's arguments are types.
	if schema, _, dotted := strings.Cut(name, "."); dotted && strings.Trim(strings.TrimSpace(schema), `"`) != "pg_catalog" {
		w.found(ruleSchema, at, "%q names the schema %s", text, schema)
	}
}
