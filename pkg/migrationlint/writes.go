package migrationlint

import "slices"

// writes looks for statements that write a table as a whole, in WITH too.
func (c *checker) writes(kind string, n node, in span) {
	for _, item := range n.child("withClause").list("ctes") {
		_, cte := unwrap(item)
		inner, query := unwrap(cte["ctequery"])
		c.writes(inner, query, in)
	}
	relation := n.child("relation")
	table := relation.text("relname")
	at := locationOf(relation)
	switch kind {
	case "UpdateStmt":
		if !c.fresh[table] && !bounded(n["whereClause"]) {
			c.found(ruleWrite, in, at, "an UPDATE of %s that no equality bounds", table)
		}
	case "DeleteStmt":
		if !c.fresh[table] && !bounded(n["whereClause"]) {
			c.found(ruleWrite, in, at, "a DELETE from %s that no equality bounds", table)
		}
	case "MergeStmt":
		if !c.fresh[table] {
			c.found(ruleWrite, in, at, "a MERGE into %s", table)
		}
	case "InsertStmt":
		if from := c.reads(n.child("selectStmt")); from != "" {
			c.found(ruleWrite, in, at, "an INSERT into %s of what is in %s", table, from)
		}
	}
}

// bounded reports whether a condition holds a column to constants: column = 'x' or column IN ('x', 'y'), and whatever else.
func bounded(where any) bool {
	kind, inner := unwrap(where)
	switch kind {
	case "BoolExpr":
		if inner.text("boolop") != "AND_EXPR" {
			return false
		}
		return slices.ContainsFunc(inner.list("args"), bounded)
	case "A_Expr":
		operation := inner.text("kind")
		if operation != "AEXPR_OP" && operation != "AEXPR_IN" || lastName(inner.list("name")) != "=" {
			return false
		}
		left, _ := unwrap(inner["lexpr"])
		right, _ := unwrap(inner["rexpr"])
		return left == "ColumnRef" && isConstant(inner["rexpr"]) || right == "ColumnRef" && isConstant(inner["lexpr"])
	}
	return false
}

func isConstant(v any) bool {
	kind, inner := unwrap(v)
	switch kind {
	case "A_Const":
		return true
	case "TypeCast":
		return isConstant(inner["arg"])
	case "List":
		for _, item := range inner.list("items") {
			if !isConstant(item) {
				return false
			}
		}
		return true
	}
	return false
}

// reads names a table that was there before and that a query reads without LIMIT, or gives "".
func (c *checker) reads(query node) string {
	if query["limitCount"] != nil || bounded(query["whereClause"]) {
		return ""
	}
	for _, half := range []string{"larg", "rarg"} {
		if part, ok := query[half].(map[string]any); ok {
			if table := c.reads(part); table != "" {
				return table
			}
		}
	}
	return c.source(query["fromClause"])
}

// source names a table that was there before, in a FROM.
func (c *checker) source(v any) string {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if table := c.source(item); table != "" {
				return table
			}
		}
	case map[string]any:
		switch kind, inner := unwrap(v); kind {
		case "RangeVar":
			if name := inner.text("relname"); !c.fresh[name] {
				return name
			}
		case "JoinExpr":
			return c.source([]any{inner["larg"], inner["rarg"]})
		case "RangeSubselect":
			return c.reads(inner.child("subquery"))
		}
	}
	return ""
}
