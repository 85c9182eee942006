package tenantschema

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// refusedWords begin statements that change the session, where the next tenant would find what they left, or the transaction, which
// belongs to the scope.
func refusedWords() []string {
	return []string{
		"abort", "begin", "close", "commit", "deallocate", "declare", "discard", "end", "execute", "listen", "load", "move", "prepare",
		"release", "reset", "rollback", "savepoint", "start", "unlisten",
	}
}

// lastingWords are parts of statements that may leave something in the session although nothing in their form says so: functions that do,
// names in Unicode escapes, by which those can be written, and functions that run a query given as text, in which they can be put together.
func lastingWords() []string {
	return []string{
		"set_config", "pg_advisory_lock", "pg_try_advisory_lock", "dblink", "lo_open", "setseed", "u&", "to_xml", "ts_stat", "ts_rewrite",
		"crosstab", "connectby", "xpath_table",
	}
}

// lastingTag reports whether what the server says it has done may leave something in the session: whatever is not known to leave nothing.
// Unlike the text, the server's word cannot be disguised.
func lastingTag(tag, sql string) bool {
	verb, _, _ := strings.Cut(tag, " ")
	switch verb {
	case "", "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "EXPLAIN", "SHOW", "COPY", "LOCK", "NOTIFY":
		return false
	case "SET":
		return firstWords(sql)[0] != "set" // Else inspect has read that it is local.
	}
	return true
}

// errLasting is returned through a pooler, which hands sessions on as they are.
var errLasting = errors.New("tenantschema: the statement may leave something in the session, and a pooler would hand that to others: " +
	"use SET LOCAL and pg_advisory_xact_lock, and neither DO nor CALL")

// inspect looks at the form of a statement. It refuses what only a mistake would send through a scope. lasting says that the statement
// may leave something behind in the session, so that the connection is not to serve another tenant.
//
// It is a guard against carelessness and no wall, which is why [lastingTag] looks at what the server says of it afterwards.
func inspect(sql string) (lasting bool, err error) {
	words := firstWords(sql)
	switch {
	case words[0] == "set" && !localSetting(words):
		return false, fmt.Errorf("tenantschema: %q is refused: a scope sets role and path itself, and no setting may outlive the transaction: "+
			"use SET LOCAL inside InTx", strings.ToUpper(words[0]+" "+words[1]))
	case slices.Contains(refusedWords(), words[0]):
		return false, fmt.Errorf("tenantschema: %q is refused: a session serves many tenants, and its transactions belong to the scope: "+
			"use InTx, and Tx.Begin for a savepoint", strings.ToUpper(words[0]))
	case words[0] == "do" || words[0] == "call":
		return true, nil
	}
	lower := strings.ToLower(sql)
	return slices.ContainsFunc(lastingWords(), func(word string) bool { return strings.Contains(lower, word) }), nil
}

// localSetting reports whether a SET ends with the transaction and leaves role and path alone.
func localSetting(words [3]string) bool {
	switch words[1] {
	case "constraints", "transaction":
		return true
	case "local":
		// A name in quotes, or in Unicode escapes, may be any of them.
		return !slices.Contains([]string{"role", "search_path", "session", "schema", "", "u"}, words[2])
	}
	return false
}

// firstWords gives the first three words of a statement in lower case, comments left out.
func firstWords(sql string) (words [3]string) {
	for i := range words {
		sql = skipBlank(sql)
		end := strings.IndexFunc(sql, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' })
		if end < 0 {
			end = len(sql)
		}
		words[i], sql = strings.ToLower(sql[:end]), sql[end:]
	}
	return words
}

// skipBlank cuts white space, empty statements and comments, nested ones too, from the front.
func skipBlank(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f\v;")
		switch {
		case strings.HasPrefix(sql, "--"):
			end := strings.IndexAny(sql, "\n\r") // As for the server, either ends it.
			if end < 0 {
				return ""
			}
			sql = sql[end:]
		case strings.HasPrefix(sql, "/*"):
			depth, i := 1, 2
			for depth > 0 && i < len(sql) {
				switch {
				case strings.HasPrefix(sql[i:], "/*"):
					depth, i = depth+1, i+2
				case strings.HasPrefix(sql[i:], "*/"):
					depth, i = depth-1, i+2
				default:
					i++
				}
			}
			sql = sql[i:]
		default:
			return sql
		}
	}
}
