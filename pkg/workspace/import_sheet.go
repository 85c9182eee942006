package workspace

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// FieldRow is the field of an [ImportError] that is about the row as a whole.
const FieldRow = "row"

// MaxImportRows is how many rows a file may have. It bounds how long an import takes; the edge bounds its bytes.
const MaxImportRows = 100_000

const (
	columnTitle       = "title"
	columnDescription = "description"
	columnStatus      = "status"
	columnPriority    = "priority"
	columnDueOn       = "due_on"
)

// columns are those that a file may have, in any order; only the title has to be there. A cell that is empty is one that is not there.
func columns() []string {
	return []string{columnTitle, columnDescription, columnStatus, columnPriority, columnDueOn}
}

// sheet is a file of tasks that is read from its beginning to its end. The same file gives the same rows each time.
type sheet struct {
	reader *csv.Reader
	// column gives the name of each column.
	column []string
}

// sheetRow is a row: a task that can be made, or what is wrong with it.
type sheetRow struct {
	line int
	task Task
	bad  []apperr.Field
}

// openSheet reads the header. The error is apperr.Invalid and says what to do.
func openSheet(content []byte) (*sheet, error) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(content) {
		return nil, badFile("The file is not UTF-8. Save it as \"CSV UTF-8\".")
	}
	reader := csv.NewReader(bytes.NewReader(content))
	reader.FieldsPerRecord, reader.ReuseRecord = -1, true
	// No column's name holds either, so the first of them is what separates.
	header, _, _ := bytes.Cut(content, []byte("\n"))
	if at := bytes.IndexAny(header, ",;"); at >= 0 {
		reader.Comma = rune(header[at])
	}
	names, err := reader.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, badFile("The file is empty. Its first line names the columns: title, and any of description, status, priority, due_on.")
	case err != nil:
		return nil, badFile("The first line cannot be read: its quotes do not match.")
	}
	s := &sheet{reader: reader}
	for _, name := range names {
		s.column = append(s.column, strings.ToLower(strings.TrimSpace(name)))
	}
	if err = s.checkHeader(); err != nil {
		return nil, err
	}
	return s, nil
}

func badFile(message string) error {
	return apperr.New(apperr.Invalid, "The file cannot be imported.").WithField("header", message)
}

func (s *sheet) checkHeader() error {
	var check checker
	seen := map[string]bool{}
	for _, name := range s.column {
		switch {
		case !slices.Contains(columns(), name):
			check.add("header", "There is no column %.60q: give %s.", name, strings.Join(columns(), ", "))
		case seen[name]:
			check.add("header", "The column %s is there twice.", name)
		}
		if seen[name] = true; len(check.fields) == 10 { // A file of something else may have thousands.
			break
		}
	}
	if !seen[columnTitle] {
		check.add("header", "The column title is missing: the first line names the columns.")
	}
	return check.err("The file cannot be imported.")
}

// countRows gives how many rows the file has, the bad ones too. The error is that of openSheet, or says that there are too many.
func countRows(content []byte) (int, error) {
	s, err := openSheet(content)
	if err != nil {
		return 0, err
	}
	for rows := 0; ; rows++ {
		switch more := s.skip(); {
		case !more:
			return rows, nil
		case rows == MaxImportRows:
			return 0, apperr.New(apperr.Invalid, "The file cannot be imported.").
				WithField(FieldRow, fmt.Sprintf("There are more than %d rows. Split the file.", MaxImportRows))
		}
	}
}

// skip goes past a row and reports whether there was one. A row that cannot be read is one, too.
func (s *sheet) skip() bool {
	_, err := s.reader.Read()
	return !errors.Is(err, io.EOF)
}

// next gives the next row. It reports false at the end.
func (s *sheet) next() (sheetRow, bool) {
	cells, err := s.reader.Read()
	if errors.Is(err, io.EOF) {
		return sheetRow{}, false
	}
	if parseErr, ok := errors.AsType[*csv.ParseError](err); ok {
		message := "The quotes do not match: put text with quotes in quotes, and double those inside."
		return sheetRow{line: parseErr.StartLine, bad: []apperr.Field{{Path: FieldRow, Message: message}}}, true
	}
	row := sheetRow{}
	row.line, _ = s.reader.FieldPos(0)
	if len(cells) != len(s.column) {
		message := fmt.Sprintf("The row has %d cells, the header has %d.", len(cells), len(s.column))
		row.bad = []apperr.Field{{Path: FieldRow, Message: message}}
		return row, true
	}
	row.read(s.column, cells)
	return row, true
}

// read makes the task of the cells. It is checked as any task is that comes by the API.
func (r *sheetRow) read(column, cells []string) {
	r.task.Status = StatusTodo
	for i, cell := range cells {
		trimmed := strings.TrimSpace(cell)
		if trimmed == "" {
			continue
		}
		// The cells share their memory with the next row's.
		switch column[i] {
		case columnTitle:
			r.task.Title = strings.Clone(cell)
		case columnDescription:
			r.task.Description = strings.Clone(cell)
		case columnStatus:
			r.task.Status = Status(strings.Clone(trimmed))
		case columnPriority:
			priority, err := strconv.Atoi(trimmed)
			if err != nil {
				priority = -1 // As wrong as any number that is none.
			}
			r.task.Priority = priority
		case columnDueOn:
			due, err := ParseDate(trimmed)
			if err != nil {
				due = NewDate(-1, time.January, 1) // As wrong as any day that has no text.
			}
			r.task.DueOn = &due
		}
	}
	if wrong, ok := errors.AsType[*apperr.Error](r.task.valid("")); ok {
		r.bad = wrong.Fields
	}
}
