package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// fileColumns are the columns of a file of tenants. The first must be there.
func fileColumns() []string { return []string{"slug", "name", "tier", "time_zone"} }

// fileRow is a tenant and the line that it stands on.
type fileRow struct {
	tenancy.NewTenant

	line int
}

// readTenants reads a CSV file of tenants, "-" for standard input. What is wrong with the file as a whole is an error; what is wrong with a
// row shows when that tenant is made.
func readTenants(path string, stdin io.Reader) ([]fileRow, error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, apperr.New(apperr.Invalid, "--from-file: %v", err)
		}
		defer file.Close() //nolint:errcheck // Opened for reading.
		in = file
	}
	rows := csv.NewReader(in)
	rows.TrimLeadingSpace = true
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, apperr.New(apperr.Invalid, "--from-file: %s is empty: its first line names the columns, such as %s", path, strings.Join(fileColumns(), ","))
	}
	if err != nil {
		return nil, apperr.New(apperr.Invalid, "--from-file: %s: %v", path, err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // As some spreadsheets write it.
	place := map[string]int{}
	for i, column := range header {
		column = strings.ToLower(strings.TrimSpace(column))
		if !slices.Contains(fileColumns(), column) {
			return nil, apperr.New(apperr.Invalid, "--from-file: %s has a column %q: there are %s", path, column, strings.Join(fileColumns(), ", "))
		}
		if _, twice := place[column]; twice {
			return nil, apperr.New(apperr.Invalid, "--from-file: %s has the column %q twice", path, column)
		}
		place[column] = i
	}
	if _, ok := place["slug"]; !ok {
		return nil, apperr.New(apperr.Invalid, "--from-file: %s has no column slug: its first line names the columns, such as %s",
			path, strings.Join(fileColumns(), ","))
	}
	var found []fileRow
	first := map[string]int{} // the line of each slug
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil { // It names the line.
			return nil, apperr.New(apperr.Invalid, "--from-file: %s: %v", path, err)
		}
		field := func(column string) string {
			i, ok := place[column]
			if !ok {
				return ""
			}
			return strings.TrimSpace(row[i])
		}
		line, _ := rows.FieldPos(0)
		slug := field("slug")
		if at, twice := first[slug]; twice {
			return nil, apperr.New(apperr.Invalid, "--from-file: %s has %q on the lines %d and %d", path, slug, at, line)
		}
		first[slug] = line
		tenant := tenancy.NewTenant{Slug: slug, Name: field("name"), Tier: field("tier"), TimeZone: field("time_zone")}
		found = append(found, fileRow{tenant, line})
	}
}

// createFromFile makes the tenants of a file, and prints those that it could not make.
func (c *cli) createFromFile(ctx context.Context, cfg config.Config, o *owner, path string, stdin io.Reader, workers int) error {
	rows, err := readTenants(path, stdin)
	if err != nil {
		return err
	}
	tenants := make([]tenancy.NewTenant, len(rows))
	for i, row := range rows {
		tenants[i] = row.NewTenant
	}
	type failure struct {
		Line  int    `json:"line"`
		Slug  string `json:"slug"`
		Error string `json:"error"`
	}
	report := struct {
		Rows    int          `json:"rows"`
		Created int          `json:"created"`
		Existed int          `json:"existed"`
		Failed  []failure    `json:"failed"`
		Tenants []tenantView `json:"tenants"`
	}{Rows: len(rows), Failed: []failure{}, Tenants: []tenantView{}}
	progress := c.progress("tenants made", len(rows))
	createErr := o.CreateAll(ctx, tenants, workers, func(made tenancy.Creation) {
		switch {
		case made.Err != nil:
			report.Failed = append(report.Failed, failure{rows[made.Index].line, tenants[made.Index].Slug, made.Err.Error()})
		case made.Created:
			report.Created++
		default:
			report.Existed++
		}
		if made.Err == nil {
			view := viewTenant(cfg, made.Tenant)
			view.Created = &made.Created
			report.Tenants = append(report.Tenants, view)
		}
		progress.step(made.Err != nil)
	})
	progress.end()
	slices.SortFunc(report.Failed, func(a, b failure) int { return a.Line - b.Line })
	var header []string
	var table [][]string
	for _, f := range report.Failed {
		header = []string{"LINE", "SLUG", "NOT MADE BECAUSE"}
		table = append(table, []string{strconv.Itoa(f.Line), f.Slug, f.Error})
	}
	if err = c.print(report, header, table); err != nil {
		return err
	}
	c.note("%d tenants created, %d were there already, %d failed, of %d rows", report.Created, report.Existed, len(report.Failed), report.Rows)
	return createErr
}
