package migrationlint

import (
	"slices"
	"strings"
)

// needsNoTx reports what PostgreSQL refuses in a transaction, in a file that is one.
func (c *checker) needsNoTx(kind string, n node, in span, at int) {
	what := ""
	switch kind {
	case "IndexStmt", "DropStmt":
		if n.flag("concurrent") {
			what = "CONCURRENTLY"
		}
	case "ReindexStmt":
		if hasOption(n.list("params"), "concurrently") {
			what = "REINDEX CONCURRENTLY"
		}
	case "VacuumStmt":
		if n.flag("is_vacuumcmd") {
			what = "VACUUM"
		}
	case "PartitionCmd":
		if n.flag("concurrent") {
			what = "DETACH PARTITION CONCURRENTLY"
		}
	}
	if what != "" && !c.noTx {
		c.found(ruleNoTx, in, at, "%s in a file that runs in a transaction", what)
	}
}

func hasOption(options []any, name string) bool {
	return slices.ContainsFunc(options, func(option any) bool {
		_, o := unwrap(option)
		return o.text("defname") == name
	})
}

// locks finds what holds a lock for long, rewrites a table, or breaks the code of the release before, in a statement that the migration runs;
// and remembers what it does to the tables.
func (c *checker) locks(s statement, in span) {
	n := s.node
	table := n.child("relation").text("relname")
	at := locationOf(n.child("relation"))
	warn := func(rule, format string, args ...any) { c.found(rule, in, at, format, args...) }
	switch s.kind {
	case "CreateStmt":
		c.createTable(n, in)
	case "CreateTableAsStmt":
		c.made(n.child("into").child("rel"), in)
		if n.text("objtype") == "OBJECT_MATVIEW" {
			c.keyed(n.child("into").child("rel").text("relname"))
		}
	case "ViewStmt":
		if view := n.child("view").text("relname"); !n.flag("replace") {
			c.fresh[view] = true
		}
	case "AlterTableStmt":
		if n.text("objtype") == "OBJECT_TABLE" {
			c.alterTable(n, in)
		}
	case "IndexStmt":
		if !c.fresh[table] && !n.flag("concurrent") {
			warn(ruleIndex, "CREATE INDEX %s on %s", n.text("idxname"), table)
		}
	case "ReindexStmt":
		if !hasOption(n.list("params"), "concurrently") {
			warn(ruleRewrite, "REINDEX")
		}
	case "VacuumStmt":
		if n.flag("is_vacuumcmd") && hasOption(n.list("options"), "full") {
			warn(ruleRewrite, "VACUUM FULL")
		}
	case "ClusterStmt":
		warn(ruleRewrite, "CLUSTER %s", table)
	case "LockStmt":
		c.each(n.list("relations"), func(name string, location int) { c.found(ruleLockTable, in, location, "LOCK TABLE %s", name) })
	case "TruncateStmt":
		c.each(n.list("relations"), func(name string, location int) { c.found(ruleTruncate, in, location, "TRUNCATE %s", name) })
	case "DropStmt":
		c.drop(n, in)
	case "RenameStmt":
		c.rename(n, in)
	case "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt":
		if into := n.child("intoClause"); into != nil {
			c.made(into.child("rel"), in)
		}
		c.writes(s.kind, n, in)
	}
}

// locationOf gives where a node says it stands, or -1.
func locationOf(n node) int {
	location, ok := n["location"].(float64)
	if !ok {
		return -1
	}
	return int(location)
}

// each calls visit for tables that this file has not made.
func (c *checker) each(relations []any, visit func(name string, location int)) {
	for _, relation := range relations {
		_, table := unwrap(relation)
		if name := table.text("relname"); !c.fresh[name] {
			visit(name, locationOf(table))
		}
	}
}

// made remembers a table, of which nothing else is known yet.
func (c *checker) made(relation node, in span) {
	table := relation.text("relname")
	delete(c.tables, table)
	c.tables.of(table)
	c.fresh[table] = true
	if relation.text("relpersistence") != "t" {
		c.keys = append(c.keys, keyless{table, c.piece, c.current, in.at(locationOf(relation))})
	}
}

// keyed says that a table has a primary key now.
func (c *checker) keyed(table string) {
	c.keys = slices.DeleteFunc(c.keys, func(k keyless) bool { return k.table == table })
}

func (c *checker) createTable(n node, in span) {
	relation := n.child("relation")
	name := relation.text("relname")
	if n.flag("if_not_exists") && c.tables[name] != nil {
		return
	}
	c.made(relation, in)
	if n["partbound"] != nil || n["inhRelations"] != nil {
		c.keyed(name)
	}
	t := c.tables.of(name)
	for _, item := range n.list("tableElts") {
		kind, element := unwrap(item)
		constraints := element.list("constraints")
		switch kind {
		case "ColumnDef":
			t.addColumn(element)
			c.serial(element, name, in)
		case "Constraint":
			t.addConstraint(element)
			constraints = []any{item}
		case "TableLikeClause":
			c.keyed(name) // What it copies is not known here.
		}
		if hasConstraint(constraints, "CONSTR_PRIMARY") {
			c.keyed(name)
		}
	}
}

func hasConstraint(constraints []any, contype string) bool {
	return slices.ContainsFunc(constraints, func(item any) bool {
		_, constraint := unwrap(item)
		return constraint.text("contype") == contype
	})
}

// serial reports a column that takes its values from a sequence.
func (c *checker) serial(def node, table string, in span) bool {
	isSerial := slices.Contains([]string{"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"}, typeOf(def.child("typeName")).name)
	isIdentity := hasConstraint(def.list("constraints"), "CONSTR_IDENTITY")
	if isSerial || isIdentity {
		c.found(ruleSerial, in, locationOf(def), "%s.%s takes its values from a sequence", table, def.text("colname"))
	}
	return isSerial || isIdentity
}

func (c *checker) drop(n node, in span) {
	object := n.text("removeType")
	if object != "OBJECT_TABLE" && object != "OBJECT_VIEW" {
		return
	}
	for _, item := range n.list("objects") {
		_, list := unwrap(item)
		name := lastName(list.list("items"))
		if !c.fresh[name] {
			c.found(ruleDrop, in, -1, "DROP %s %s", strings.TrimPrefix(object, "OBJECT_"), name)
		}
		delete(c.tables, name)
		delete(c.fresh, name)
		c.keyed(name)
	}
}

func (c *checker) rename(n node, in span) {
	relation := n.child("relation")
	from, to := relation.text("relname"), n.text("newname")
	switch n.text("renameType") {
	case "OBJECT_TABLE", "OBJECT_VIEW":
		if !c.fresh[from] {
			c.found(ruleRename, in, locationOf(relation), "RENAME of %s", from)
		}
		c.tables.renameTable(from, to)
		if c.fresh[from] {
			c.fresh[to] = true
			delete(c.fresh, from)
			for i := range c.keys {
				if c.keys[i].table == from {
					c.keys[i].table = to
				}
			}
		}
	case "OBJECT_COLUMN", "OBJECT_ATTRIBUTE":
		if !c.fresh[from] {
			c.found(ruleRename, in, locationOf(relation), "RENAME of %s.%s", from, n.text("subname"))
		}
		c.tables.of(from).renameColumn(n.text("subname"), to)
	case "OBJECT_TABCONSTRAINT":
		checks := c.tables.of(from).checks
		if check, ok := checks[n.text("subname")]; ok {
			checks[to] = check
			delete(checks, n.text("subname"))
		}
	}
}
