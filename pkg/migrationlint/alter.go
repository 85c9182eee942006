package migrationlint

import "slices"

// alterTable looks at the parts of an ALTER TABLE.
func (c *checker) alterTable(n node, in span) {
	relation := n.child("relation")
	a := alteration{c: c, in: in, name: relation.text("relname"), at: locationOf(relation)}
	a.table = c.tables.of(a.name)
	a.old = !c.fresh[a.name]
	constraints := 0
	for _, item := range n.list("cmds") {
		_, cmd := unwrap(item)
		a.command(cmd)
		if cmd.text("subtype") == "AT_AddConstraint" {
			constraints++
		}
	}
	if constraints > 1 {
		a.warn(ruleMany, a.at, "%d ADD CONSTRAINT in one ALTER TABLE %s", constraints, a.name)
	}
}

// alteration is an ALTER TABLE of a table. It is old if it was there before the file.
type alteration struct {
	c     *checker
	in    span
	name  string
	at    int
	table *table
	old   bool
}

func (a alteration) warn(rule string, at int, format string, args ...any) {
	if at < 0 {
		at = a.at
	}
	a.c.found(rule, a.in, at, format, args...)
}

// warnOld is warn for what does no harm to a table that the file has made itself.
func (a alteration) warnOld(rule string, at int, format string, args ...any) {
	if a.old {
		a.warn(rule, at, format, args...)
	}
}

// command looks at one part.
func (a alteration) command(cmd node) {
	column, def := cmd.text("name"), cmd.child("def")
	switch cmd.text("subtype") {
	case "AT_AddColumn":
		a.addColumn(def)
	case "AT_DropColumn":
		a.warnOld(ruleDrop, -1, "DROP COLUMN %s.%s", a.name, column)
		a.table.dropColumn(column)
	case "AT_AlterColumnType":
		was, is := a.table.types[column], typeOf(def.child("typeName"))
		if !was.keeps(is) || def["raw_default"] != nil {
			a.warnOld(ruleAlterType, locationOf(def), "ALTER COLUMN %s.%s TYPE", a.name, column)
		}
		a.table.types[column] = is
	case "AT_SetNotNull":
		if !a.table.holdsNotNull(column) {
			a.warnOld(ruleNotNull, -1, "SET NOT NULL on %s.%s, which no validated CHECK holds", a.name, column)
		}
	case "AT_AddConstraint":
		a.constraint(def)
		a.table.addConstraint(def)
	case "AT_ValidateConstraint":
		if a.c.added[a.name+"."+column] && !a.c.noTx {
			a.warnOld(ruleValidate, -1, "VALIDATE CONSTRAINT %s in the file that adds it", column)
		}
		if check, ok := a.table.checks[column]; ok {
			check.valid = true
		}
	case "AT_DropConstraint":
		delete(a.table.checks, column)
	case "AT_AddIdentity":
		a.warn(ruleSerial, -1, "%s.%s takes its values from a sequence", a.name, column)
	case "AT_SetTableSpace", "AT_SetLogged", "AT_SetUnLogged", "AT_SetAccessMethod", "AT_SetExpression":
		a.warnOld(ruleRewrite, -1, "ALTER TABLE %s writes it anew", a.name)
	}
}

// addColumn looks at ADD COLUMN.
func (a alteration) addColumn(def node) {
	column, at := def.text("colname"), locationOf(def)
	defaults, notNull := a.c.serial(def, a.name, a.in), false
	if defaults {
		a.warnOld(ruleDefault, at, "ADD COLUMN %s.%s gets a value of its own in each row", a.name, column)
	}
	for _, item := range def.list("constraints") {
		_, constraint := unwrap(item)
		switch constraint.text("contype") {
		case "CONSTR_DEFAULT":
			defaults = true
			if why := volatile(constraint["raw_expr"]); why != "" {
				a.warnOld(ruleDefault, at, "ADD COLUMN %s.%s has a default by %s, which may differ from row to row", a.name, column, why)
			}
		case "CONSTR_GENERATED":
			defaults = true
			a.warnOld(ruleDefault, at, "ADD COLUMN %s.%s is computed for each row", a.name, column)
		case "CONSTR_NOTNULL":
			notNull = true
		case "CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_CHECK", "CONSTR_FOREIGN":
			a.constraint(constraint)
		}
	}
	if notNull && !defaults {
		a.warnOld(ruleNewNotNull, at, "ADD COLUMN %s.%s is NOT NULL and has no default", a.name, column)
	}
	a.table.addColumn(def)
}

// constraint looks at a constraint that is added.
func (a alteration) constraint(constraint node) {
	at := locationOf(constraint)
	usesIndex := constraint.text("indexname") != ""
	if constraint.text("conname") == "" && !usesIndex {
		a.warn(ruleUnnamed, at, "a constraint on %s has no name", a.name)
	}
	later := constraint.flag("skip_validation")
	if later {
		a.c.added[a.name+"."+constraint.text("conname")] = true
	}
	switch constraint.text("contype") {
	case "CONSTR_PRIMARY":
		a.c.keyed(a.name)
		a.unique(usesIndex, at, "PRIMARY KEY")
	case "CONSTR_UNIQUE":
		a.unique(usesIndex, at, "UNIQUE")
	case "CONSTR_EXCLUSION":
		a.unique(usesIndex, at, "EXCLUDE")
	case "CONSTR_CHECK":
		if !later {
			a.warnOld(ruleCheck, at, "a CHECK on %s that all its rows are read for", a.name)
		}
	case "CONSTR_FOREIGN":
		if !later {
			a.warnOld(ruleForeignKey, at, "a FOREIGN KEY of %s that all its rows are looked up for", a.name)
		}
	}
}

func (a alteration) unique(usesIndex bool, at int, what string) {
	if !usesIndex {
		a.warnOld(ruleUnique, at, "%s on %s builds its index now", what, a.name)
	}
}

// volatile names what in a default may give another value for each row, or "". Functions that are not known are taken to: PostgreSQL does the
// same with those that do not say otherwise.
func volatile(v any) (why string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if why = volatile(item); why != "" {
				return why
			}
		}
	case map[string]any:
		if function := node(v).list("funcname"); function != nil && !slices.Contains(stable(), lastName(function)) {
			return lastName(function) + "()"
		}
		for _, value := range v {
			if why = volatile(value); why != "" {
				return why
			}
		}
	}
	return ""
}

// stable lists functions of PostgreSQL's that give the same in a whole statement, as far as defaults use them.
func stable() []string {
	return []string{
		"now", "transaction_timestamp", "statement_timestamp", "timezone", "date_trunc", "date_part", "extract", "make_date", "make_interval",
		"make_timestamp", "make_timestamptz", "to_date", "to_timestamp", "to_char", "to_number", "age", "lower", "upper", "initcap", "btrim", "ltrim",
		"rtrim", "lpad", "rpad", "left", "right", "length", "char_length", "octet_length", "replace", "translate", "repeat", "concat", "concat_ws",
		"format", "substring", "position", "overlay", "md5", "sha256", "encode", "decode", "convert_to", "convert_from", "abs", "round", "floor",
		"ceil", "power", "sqrt", "mod", "jsonb_build_object", "jsonb_build_array", "json_build_object", "json_build_array", "to_json", "to_jsonb",
		"array_fill", "string_to_array", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange", "current_setting", "txid_current",
		"inet_client_addr", "to_tsvector", "to_tsquery",
	}
}
