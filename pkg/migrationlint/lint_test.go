package migrationlint_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/migrationlint"
)

// base is the file before those of the cases.
const base = `-- +goose Up
CREATE TABLE users (id uuid CONSTRAINT users_pkey PRIMARY KEY, email varchar(100), name text);
CREATE TABLE tasks (
    id uuid CONSTRAINT tasks_pkey PRIMARY KEY, user_id uuid, title varchar(20), size numeric(10,2), n int, state text, made_at timestamptz(3),
    CONSTRAINT tasks_state_set CHECK (state IS NOT NULL AND n > 0)
);
-- +goose Down
DROP TABLE tasks;
DROP TABLE users;
`

// asFile makes a file of statements. What has annotations is a file already.
func asFile(sql string) string {
	if strings.Contains(sql, "+goose") {
		return sql
	}
	return "-- +goose Up\n-- +goose StatementBegin\n" + sql + "\n-- +goose StatementEnd\n-- +goose Down\nSELECT 1;\n"
}

// lint gives what is found in the second file, and wants nothing in the first.
func lint(t *testing.T, sql string) (found []migrationlint.Finding) {
	t.Helper()
	all, err := migrationlint.Lint(fstest.MapFS{"00001_base.sql": {Data: []byte(base)}, "00002_case.sql": {Data: []byte(asFile(sql))}})
	require.NoError(t, err)
	for _, f := range all {
		require.Equal(t, "00002_case.sql", f.File, f)
		require.NotEmpty(t, f.Fix, f)
		found = append(found, f)
	}
	return found
}

// rulesOf gives the rules of findings, each once.
func rulesOf(found []migrationlint.Finding) map[string]bool {
	rules := map[string]bool{}
	for _, f := range found {
		rules[f.Rule] = true
	}
	return rules
}

// TestRules shows for each rule what it finds, and what is near and right. bad breaks that rule and, but for those in also, no other.
func TestRules(t *testing.T) {
	t.Parallel()
	bad, good := map[string]bool{}, map[string]bool{}
	for _, c := range cases() {
		if c.bad != "" {
			bad[c.rule] = true
			found := rulesOf(lint(t, c.bad))
			require.True(t, found[c.rule], "%s is not found in: %s\nbut %v", c.rule, c.bad, found)
			delete(found, c.rule)
			for also := range strings.FieldsSeq(c.also) {
				delete(found, also)
			}
			require.Empty(t, found, "in: %s", c.bad)
		}
		if c.good != "" {
			good[c.rule] = true
			found := lint(t, c.good)
			require.False(t, rulesOf(found)[c.rule], "%s is found in: %s\n%v", c.rule, c.good, found)
		}
	}
	for _, r := range migrationlint.Rules() {
		require.True(t, bad[r.Name], "no case breaks %s", r.Name)
		require.True(t, good[r.Name], "no case keeps %s", r.Name)
		require.NotEmpty(t, r.Why)
		require.NotEmpty(t, r.Safe)
		require.Equal(t, r.Severity == migrationlint.Error, r.Kind == "" && r.Name != "unused-allow", r.Name)
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"-- +goose Up\n\nSELECT 1;\n\n  SELECT id,\n    -- é\n    'é', * FROM tasks;\n", "7:10"},
		{"-- +goose Up\r\nSELECT 1;\r\nSELECT *\r\nFROM tasks;\r\n", "3:8"},
		{"-- +goose Up\nSELECT 1; SELECT 2; SET search_path = x;\n", "2:21"},
		{"-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n  SELECT id FROM\n    other.t\n$$;\n-- +goose StatementEnd\n", "5:5"},
		{"-- +goose Up\n-- +goose StatementBegin\nDO $$\nBEGIN\n  PERFORM 1;\n  PERFORM id FROM other.t;\nEND $$;\n-- +goose StatementEnd\n", "6:19"},
		{"-- +goose Up\n-- +goose StatementBegin\nDO $$\nBEGIN\n  EXECUTE 'DROP TABLE ' || 'x';\nEND $$;\n-- +goose StatementEnd\n", "5:3"},
		{"-- +goose Up\nSELECT 'é',\n  'é' FROM WHERE tasks;\n", "3:12"},
		{"-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 1;\nDROP TABLE other.t;\n", "5:1"},
		{"-- +goose Up\n-- +goose ENVSUB ON\nSELECT 1;\n", "2:1"},
		{"-- +goose Up\nSELECT 1\n", "2:1"},
		{"-- +goose Up\nSELECT 1;\n/* a */ TRUNCATE\n   tasks;\n", "4:4"},
	} {
		found := lint(t, c.text)
		require.Len(t, found, 1, "%s: %v", c.text, found)
		require.Contains(t, found[0].String(), "00002_case.sql:"+c.want+":", c.text)
	}
}

// TestAllow: a reason silences one rule in one statement, and no other.
func TestAllow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"right before", "-- lint:allow truncate a cache\nTRUNCATE tasks;", nil},
		{"with other comments", "-- Why.\n--lint:allow   truncate   a cache\n\n-- More.\nTRUNCATE tasks;", nil},
		{"two rules", "-- lint:allow truncate a cache\n-- lint:allow schema-name really\nTRUNCATE other.tasks;", nil},
		{"within a block", "-- +goose StatementBegin\n-- lint:allow truncate a cache\nTRUNCATE tasks;\n-- lint:allow truncate too\nTRUNCATE users;\n-- +goose StatementEnd", nil},
		{"only the next", "-- lint:allow truncate a cache\nTRUNCATE tasks;\nTRUNCATE users;", []string{"4 truncate"}},
		{"another rule", "-- lint:allow drop a cache\nTRUNCATE tasks;", []string{"2 unused-allow", "3 truncate"}},
		{"no reason", "-- lint:allow truncate\nTRUNCATE tasks;", []string{"2 bad-allow", "3 truncate"}},
		{"no rule", "-- lint:allow\nTRUNCATE tasks;", []string{"2 bad-allow", "3 truncate"}},
		{"no such rule", "-- lint:allow trunkate a cache\nTRUNCATE tasks;", []string{"2 bad-allow", "3 truncate"}},
		{"not this rule", "-- lint:allow syntax I know better\nSELECT 1;", []string{"2 bad-allow"}},
		{"nothing to allow", "-- lint:allow truncate a cache\nSELECT 1;", []string{"2 unused-allow"}},
		{"after the statement", "TRUNCATE tasks; -- lint:allow truncate a cache\nSELECT 1;", []string{"2 truncate"}},
		{"after one, within a block", "-- +goose StatementBegin\nSELECT 1; -- lint:allow truncate a cache\nTRUNCATE tasks;\n-- +goose StatementEnd", []string{"4 truncate"}},
		{"in a block comment", "/*\n-- lint:allow truncate a cache\n*/ TRUNCATE tasks;", []string{"4 truncate"}},
		{"in a text", "-- +goose StatementBegin\nSELECT '\n-- lint:allow truncate a cache';\nTRUNCATE tasks;\n-- +goose StatementEnd", []string{"5 truncate"}},
		{"a table without a key", "-- lint:allow no-primary-key a log\nCREATE TABLE log (line text);", nil},
		{"not for locks in Down", "SELECT 1;\n-- +goose Down\n-- lint:allow drop x y\nDROP TABLE tasks;", []string{"4 unused-allow"}},
	} {
		var got []string
		for _, f := range lint(t, "-- +goose Up\n"+c.text+"\n") {
			got = append(got, strings.Split(f.String(), ":")[1]+" "+f.Rule)
		}
		require.Equal(t, c.want, got, c.name)
	}
}

// TestLocks: the plan of a run is told what locks or rewrites, and what was allowed as well.
func TestLocks(t *testing.T) {
	t.Parallel()
	locks, err := migrationlint.Locks(fstest.MapFS{
		"00001_base.sql": {Data: []byte(base)},
		"00002_two.sql": {Data: []byte("-- +goose Up\nCREATE INDEX i ON tasks (n);\n-- lint:allow alter-type small\n" +
			"ALTER TABLE tasks ALTER COLUMN n TYPE bigint;\nALTER TABLE tasks RENAME COLUMN n TO m;\n-- +goose Down\nDROP TABLE tasks;\n")},
		"00010_ten.sql": {Data: []byte("-- +goose Up\nALTER TABLE tasks ALTER COLUMN m TYPE int8;\nALTER TABLE tasks ALTER COLUMN title TYPE text;\n")},
	})
	require.NoError(t, err)
	require.Len(t, locks, 1, "the base makes its tables itself; in ten, the type is the same, and a longer text is no new one")
	two := locks["00002_two.sql"]
	require.Len(t, two, 2)
	require.Equal(t, migrationlint.Lock, two[0].Kind)
	require.Equal(t, migrationlint.Rewrite, two[1].Kind)
	require.Equal(t, "small", two[1].Allowed)
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	_, err := migrationlint.Lint(fstest.MapFS{"readme.md": {}})
	require.ErrorIs(t, err, migrationlint.ErrNoFiles)
	up := &fstest.MapFile{Data: []byte("-- +goose Up\n")}
	found, err := migrationlint.Lint(fstest.MapFS{"1_a.sql": up, "00001_b.sql": up, "b.sql": up, "0_c.sql": up, "7.sql": up})
	require.NoError(t, err)
	require.Len(t, found, 4)
	for _, f := range found {
		require.Equal(t, "goose", f.Rule)
	}
	// By number, not by name: 10 comes after 9.
	found, err = migrationlint.Lint(fstest.MapFS{
		"9_a.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE t (id int CONSTRAINT t_pkey PRIMARY KEY, a varchar(9));\n")},
		"10_b.sql": {Data: []byte("-- +goose Up\nALTER TABLE t ALTER COLUMN a TYPE varchar(10);\n")},
	})
	require.NoError(t, err)
	require.Empty(t, found)
}
