package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// script gathers statements that nobody needs an answer to, so that they take one round trip. The statements of ten migrations are some
// sixty, and on a schema that is new each takes less time than its way to the server and back.
type script struct {
	open bool
	// texts are the statements, and at the end of each migration marks says which it is.
	texts []string
	marks map[int]int64
}

// add takes a statement; false when it has to be sent at once.
func (s *script) add(sql string) bool {
	if s.open {
		s.texts = append(s.texts, sql)
	}
	return s.open
}

// ended says that all of a migration has been added, or of what takes it back.
func (s *script) ended(version int64) {
	if s.open {
		if s.marks == nil {
			s.marks = map[int]int64{}
		}
		s.marks[len(s.texts)] = version
	}
}

// clear forgets what has been gathered.
func (s *script) clear() { s.texts, s.marks = nil, nil }

// flush sends what has been gathered. An error of the server's names the migration.
func (s *script) flush(ctx context.Context, conn *pgx.Conn) error {
	if len(s.texts) == 0 {
		return nil
	}
	texts, marks := s.texts, s.marks
	s.clear()
	// Each text may hold several statements, so their results cannot be counted: after each migration one says how far it went.
	var sql strings.Builder
	starts := make([]int, len(texts)) // in characters, as the server counts
	length := 0
	write := func(text string) {
		sql.WriteString(text)
		sql.WriteString("\n;\n") // After a comment that ends a text, too.
		length += utf8.RuneCountInString(text) + 3
	}
	for i, text := range texts {
		starts[i] = length
		write(text)
		if _, ok := marks[i+1]; ok {
			write("select 1 as " + markColumn)
		}
	}
	results := conn.PgConn().Exec(ctx, sql.String())
	passed, since := 0, 0 // migrations, and statements of the one after them
	for results.NextResult() {
		reader := results.ResultReader()
		since++
		if fields := reader.FieldDescriptions(); len(fields) == 1 && fields[0].Name == markColumn {
			passed, since = passed+1, 0
		}
		if _, err := reader.Close(); err != nil { // Close below gives it. It is of a statement that had begun to answer.
			since--
		}
	}
	err := results.Close()
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	return failedAt(texts, starts, marks, passed, since, pgErr)
}

// markColumn names the column of what stands after each migration.
const markColumn = "rowhouse_migrated"

// failedAt names the migration in which the server failed, when passed of them were through and so many statements since, and the statement
// if it can be told.
func failedAt(texts []string, starts []int, marks map[int]int64, passed, since int, pgErr *pgconn.PgError) error {
	ends := make([]int, 0, len(marks))
	for end := range marks {
		ends = append(ends, end)
	}
	slices.Sort(ends)
	if pgErr.Position > 0 { // A text that cannot be parsed keeps all from being run.
		at, _ := slices.BinarySearch(starts, int(pgErr.Position))
		passed, _ = slices.BinarySearch(ends, at)
		return fmt.Errorf("%sin %q: %w", versionOf(marks, ends, passed), excerpt(texts[max(0, at-1)]), pgErr)
	}
	first := 0
	if passed > 0 {
		first = ends[passed-1]
	}
	at := first + since
	if at >= len(texts) || slices.ContainsFunc(texts[first:at+1], isMany) {
		return fmt.Errorf("%s%w", versionOf(marks, ends, passed), pgErr)
	}
	return fmt.Errorf("%sin %q: %w", versionOf(marks, ends, passed), excerpt(texts[at]), pgErr)
}

// isMany reports whether a text may hold several statements, so that its results cannot be counted.
func isMany(sql string) bool {
	return strings.Contains(strings.TrimRight(sql, "; \t\r\n"), ";")
}

func versionOf(marks map[int]int64, ends []int, at int) string {
	if at >= len(ends) {
		return ""
	}
	return fmt.Sprintf("version %d: ", marks[ends[at]])
}

// excerpt gives the beginning of a statement.
func excerpt(sql string) string {
	words := strings.Join(strings.Fields(sql), " ")
	if runes := []rune(words); len(runes) > 120 {
		return string(runes[:120]) + "…"
	}
	return words
}
