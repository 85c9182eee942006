package tenantschema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"select 1":                         "plain",
		"":                                 "plain",
		"/* set */ select 'set role none'": "plain",
		"update t set x = 1":               "plain",
		"with x as (select 1) select 1":    "plain",
		"set local statement_timeout = 5":  "plain",
		"SET TRANSACTION isolation level serializable": "plain",
		"set constraints all deferred":                 "plain",
		"select pg_advisory_xact_lock(1)":              "plain",
		"select pg_notify('a', 'b')":                   "plain",
		"settle":                                       "plain",
		"set role none":                                "refused",
		"set search_path to x":                         "refused",
		"SeT\nLOCAL role x":                            "refused",
		"set local search_path = x":                    "refused",
		"set session statement_timeout = 5":            "refused",
		"set statement_timeout = 5":                    "refused",
		"/* a /* nested */ b */ -- line\n ; commit":    "refused",
		"begin": "refused", "ROLLBACK TO x": "refused", "end": "refused", "discard all": "refused", "deallocate all": "refused",
		"declare c cursor with hold for select 1": "refused", "listen x": "refused", "reset all": "refused", "prepare x as select 1": "refused",
		"select Set_Config('a', 'b', false)": "lasting", "select pg_advisory_lock(1)": "lasting",
		"do $$begin end$$": "lasting", "call f()": "lasting",
		"--x\rset role none": "refused", "--\r\nprepare x as select 1": "refused", "-- set role none": "plain",
		`set local "role" = 'x'`: "refused", `set local U&"rol\0065" = 'x'`: "refused",
		`select U&"set\005fconfig"('a', 'b', false)`: "lasting", "select query_to_xml('select 1', true, false, '')": "lasting",
		"select 1 from ts_stat('select 1')": "lasting",
	} {
		lasting, err := inspect(sql)
		got := map[bool]string{false: "plain", true: "lasting"}[lasting]
		if err != nil {
			got = "refused"
		}
		require.Equal(t, want, got, sql)
	}
}

func TestLastingTag(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"", "SELECT 1", "INSERT 0 1", "UPDATE 0", "DELETE 3", "MERGE 2", "EXPLAIN", "SHOW", "LOCK TABLE",
		"SET CONSTRAINTS"} {
		require.False(t, lastingTag(tag, "set constraints all deferred"), tag)
	}
	for _, tag := range []string{"SET", "RESET", "PREPARE", "DEALLOCATE", "DEALLOCATE ALL", "DO", "CALL", "LISTEN", "DECLARE CURSOR", "DISCARD ALL",
		"CREATE TABLE"} {
		require.True(t, lastingTag(tag, "select 1"), tag)
	}
}

func FuzzInspect(f *testing.F) {
	for _, seed := range []string{"/*", "--", "/* /* */", "set", "set local", ";;;", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, sql string) {
		_, _ = inspect(sql) // It ends and does not panic.
	})
}
