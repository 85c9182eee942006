package migrationlint

import (
	"slices"
	"strconv"
)

// schema is what the files up to now have made, as far as rules ask for it: tables by name.
type schema map[string]*table

// table is what is known of a table. A column that is not in types is not known, not missing.
type table struct {
	types  map[string]columnType
	checks map[string]*notNullCheck
}

// notNullCheck is a CHECK that some columns are not null.
type notNullCheck struct {
	columns []string
	valid   bool
}

// columnType is a built-in type as it is written, with its modifiers: varchar(20) is {"varchar", [20]}.
type columnType struct {
	name string
	mods []int
}

// of gives a table, known from now on.
func (s schema) of(name string) *table {
	if s[name] == nil {
		s[name] = &table{types: map[string]columnType{}, checks: map[string]*notNullCheck{}}
	}
	return s[name]
}

// renameTable and the like keep up with what a file does.
func (s schema) renameTable(from, to string) {
	if t, ok := s[from]; ok {
		s[to] = t
		delete(s, from)
	}
}

func (t *table) renameColumn(from, to string) {
	if typ, ok := t.types[from]; ok {
		t.types[to] = typ
		delete(t.types, from)
	}
	for _, check := range t.checks {
		if i := slices.Index(check.columns, from); i >= 0 {
			check.columns[i] = to
		}
	}
}

func (t *table) dropColumn(name string) {
	delete(t.types, name)
	for key, check := range t.checks {
		if slices.Contains(check.columns, name) {
			delete(t.checks, key)
		}
	}
}

// addColumn remembers a ColumnDef.
func (t *table) addColumn(def node) {
	t.types[def.text("colname")] = typeOf(def.child("typeName"))
	for _, item := range def.list("constraints") {
		_, constraint := unwrap(item)
		t.addConstraint(constraint)
	}
}

// addConstraint remembers a CHECK that says that columns are not null.
func (t *table) addConstraint(constraint node) {
	if constraint.text("contype") != "CONSTR_CHECK" {
		return
	}
	name := constraint.text("conname")
	if name == "" { // PostgreSQL's own name is not known; it cannot be validated by it here.
		name = "\x00" + strconv.Itoa(len(t.checks))
	}
	t.checks[name] = &notNullCheck{notNull(constraint["raw_expr"]), !constraint.flag("skip_validation")}
}

// holdsNotNull reports whether a validated CHECK says that the column is not null, so that SET NOT NULL need not look.
func (t *table) holdsNotNull(column string) bool {
	for _, check := range t.checks {
		if check.valid && slices.Contains(check.columns, column) {
			return true
		}
	}
	return false
}

// notNull gives the columns that an expression says are not null.
func notNull(expr any) (columns []string) {
	kind, inner := unwrap(expr)
	switch {
	case kind == "NullTest" && inner.text("nulltesttype") == "IS_NOT_NULL":
		if arg, column := unwrap(inner["arg"]); arg == "ColumnRef" {
			columns = append(columns, lastName(column.list("fields")))
		}
	case kind == "BoolExpr" && inner.text("boolop") == "AND_EXPR":
		for _, arg := range inner.list("args") {
			columns = append(columns, notNull(arg)...)
		}
	}
	return columns
}

// typeOf reads a TypeName. What is not simple has the name "".
func typeOf(n node) (t columnType) {
	if n.list("arrayBounds") != nil || n.flag("setof") || n.flag("pct_type") {
		return t
	}
	for _, mod := range n.list("typmods") {
		_, constant := unwrap(mod)
		value, isNumber := constant["ival"].(map[string]any)
		if !isNumber {
			return t
		}
		number, _ := value["ival"].(float64) // 0 is left out.
		t.mods = append(t.mods, int(number))
	}
	t.name = lastName(n.list("names"))
	return t
}

// keeps reports whether values of a column need not be written anew, nor read, when its type changes from t.
func (t columnType) keeps(to columnType) bool {
	longer := len(to.mods) == 0 || len(t.mods) == 1 && len(to.mods) == 1 && to.mods[0] >= t.mods[0]
	switch {
	case t.name == "" || to.name == "":
		return false
	case t.name != to.name:
		return t.name == "varchar" && to.name == "text" || t.name == "cidr" && to.name == "inet" ||
			t.name == "text" && to.name == "varchar" && len(to.mods) == 0
	case slices.Equal(t.mods, to.mods):
		return true
	case slices.Contains([]string{"varchar", "varbit", "timestamp", "timestamptz", "time", "timetz"}, t.name):
		return longer
	case t.name == "numeric":
		return len(to.mods) == 0 || len(t.mods) == 2 && len(to.mods) == 2 && to.mods[0] >= t.mods[0] && to.mods[1] == t.mods[1]
	}
	return false
}
