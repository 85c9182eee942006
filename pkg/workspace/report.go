package workspace

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ReportDaily is the kind of report that there is of each day.
const ReportDaily = "daily"

// KeepReports is how many days back reports are kept, and can be asked for.
const KeepReports = 90

// ReportDue is the job that makes the report of a day, [Service.DailyReport].
//
// It is to be scheduled each morning of the tenant's, for the day before: at 06:00 in Berlin on the 25th, with Day the 24th and TimeZone
// Europe/Berlin. Whatever enqueues it twice makes one report: while one of a day waits or runs there is no second, and the second run
// of one replaces what the first has made.
type ReportDue struct {
	// Day is a day on the calendar of TimeZone.
	Day Date `json:"day"`
	// TimeZone is an IANA name, such as Europe/Berlin.
	TimeZone string `json:"time_zone"`
}

// Kind names the job.
func (ReportDue) Kind() string { return "workspace.daily_report" }

// JobOpts asks for the queue of what may take until tomorrow, and for one job of a day.
func (d ReportDue) JobOpts() job.Opts { return job.Opts{Queue: job.QueueBulk, Unique: d.Day.String()} }

// Report is what there is to know of a report without its files.
type Report struct {
	ID  uuid.UUID `json:"id"`
	Day Date      `json:"day"`
	// Kind is [ReportDaily].
	Kind string `json:"kind"`
	// TimeZone is whose day it is.
	TimeZone string `json:"time_zone"`
	// CSVBytes and HTMLBytes are the sizes of the files.
	CSVBytes  int `json:"csv_bytes"`
	HTMLBytes int `json:"html_bytes"`
	// CreatedAt is the moment at which it shows the workspace.
	CreatedAt time.Time `json:"created_at"`
}

// ReportFile is one form of a report.
type ReportFile struct {
	Name    string
	Content []byte
	// Policy is the Content-Security-Policy under which a browser may show it: no scripts, nothing from elsewhere, our style alone.
	Policy string
}

// RequestReport enqueues the job that makes the report of a day now, or finds it waiting already. The error is apperr.Invalid if there is
// no such time zone, or the day is not one of the last [KeepReports] there, today included.
func (s *Service) RequestReport(ctx context.Context, scope tenantschema.Scope, due ReportDue) (receipt job.Receipt, err error) {
	var check checker
	zone, err := loadZone(due.TimeZone)
	if err != nil {
		check.add("time_zone", "Give the name of a time zone, such as Europe/Berlin.")
		zone = time.UTC
	}
	today := dateOf(s.now(), zone)
	if today.Before(due.Day) || due.Day.Before(today.AddDays(1-KeepReports)) {
		check.add("day", "Give a day from %s to %s.", today.AddDays(1-KeepReports), today)
	}
	if err = check.err("There is no report of this day."); err != nil {
		return job.Receipt{}, err
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		receipt, err = s.jobs.Enqueue(ctx, tx, due, job.Opts{})
		return err
	})
	if err != nil {
		return job.Receipt{}, failed("request report", err)
	}
	return receipt, nil
}

// DailyReport does the work of the job: it reads the workspace at one moment, and stores the report of the day in place of the one that
// there may be. In the same transaction reports of days longer ago than [KeepReports] are removed.
func (s *Service) DailyReport(ctx context.Context, scope tenantschema.Scope, due ReportDue) error {
	zone, err := loadZone(due.TimeZone)
	if err != nil {
		return job.Cancel(failed("daily report", err))
	}
	d := newDaily(due.Day, zone, s.now())
	readOnly := tenantschema.TxOptions{Isolation: pgx.RepeatableRead, ReadOnly: true}
	if err = scope.InTxWith(ctx, readOnly, func(tx *tenantschema.Tx) error { return d.read(ctx, tx) }); err != nil {
		return failed("daily report", err)
	}
	html, err := d.html()
	if err != nil {
		return failed("daily report", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return failed("daily report", err)
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		// A run that was slower does not put what is older in place of what is newer.
		const insert = `INSERT INTO reports (id, day, kind, time_zone, csv, html, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (kind, day) DO UPDATE SET time_zone = excluded.time_zone, csv = excluded.csv, html = excluded.html, created_at = excluded.created_at
WHERE reports.created_at <= excluded.created_at`
		if _, err := tx.Exec(ctx, insert, id, due.Day, ReportDaily, due.TimeZone, d.csv.Bytes(), html, d.at); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM reports WHERE day <= $1`, dateOf(d.at, zone).AddDays(-KeepReports))
		return err
	})
	if err != nil {
		return failed("daily report", err)
	}
	return nil
}

// ListReports gives a page of the reports, the one that was made last for the first time first. The error is apperr.Invalid for a limit or
// cursor that is wrong.
func (s *Service) ListReports(ctx context.Context, scope tenantschema.Scope, p PageRequest) (Page[Report], error) {
	w, err := p.window("reports", nil)
	if err != nil {
		return Page[Report]{}, err
	}
	const sql = `SELECT ` + reportColumns + ` FROM reports WHERE id < $1 ORDER BY id DESC LIMIT $2`
	rows, err := scope.Query(ctx, sql, w.before, w.fetch())
	if err != nil {
		return Page[Report]{}, failed("list reports", err)
	}
	reports, err := pgx.CollectRows(rows, scanReport)
	if err != nil {
		return Page[Report]{}, failed("list reports", err)
	}
	return pageOf(w, reports, func(r Report) uuid.UUID { return r.ID }), nil
}

// GetReport gives a report without its files. The error is apperr.NotFound if there is none with that id.
func (s *Service) GetReport(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Report, error) {
	const sql = `SELECT ` + reportColumns + ` FROM reports WHERE id = $1`
	rows, err := scope.Query(ctx, sql, id)
	if err != nil {
		return Report{}, failedOn("get report", "report", id, err)
	}
	report, err := pgx.CollectOneRow(rows, scanReport)
	if err != nil {
		return Report{}, failedOn("get report", "report", id, err)
	}
	return report, nil
}

// ReportCSV gives a report as a table: a line for each project. The error is apperr.NotFound if there is none with that id.
func (s *Service) ReportCSV(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (ReportFile, error) {
	const sql = `SELECT day, kind, csv FROM reports WHERE id = $1`
	file, err := queryReportFile(ctx, scope, sql, id, "csv")
	file.Policy = policyOf(nil)
	return file, err
}

// ReportHTML gives a report as a page that needs nothing else. The error is apperr.NotFound if there is none with that id.
func (s *Service) ReportHTML(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (ReportFile, error) {
	const sql = `SELECT day, kind, html FROM reports WHERE id = $1`
	file, err := queryReportFile(ctx, scope, sql, id, "html")
	// Of the style that stands in it, not of ours: an older program may have made it.
	file.Policy = policyOf(styleIn(file.Content))
	return file, err
}

func queryReportFile(ctx context.Context, scope tenantschema.Scope, sql string, id uuid.UUID, extension string) (ReportFile, error) {
	var day Date
	var kind string
	var file ReportFile
	if err := scope.QueryRow(ctx, sql, id).Scan(&day, &kind, &file.Content); err != nil {
		return ReportFile{}, failedOn("read report", "report", id, err)
	}
	file.Name = kind + "-" + day.String() + "." + extension
	return file, nil
}

const reportColumns = `id, day, kind, time_zone, octet_length(csv), octet_length(html), created_at`

func scanReport(row pgx.CollectableRow) (Report, error) {
	var r Report
	err := row.Scan(&r.ID, &r.Day, &r.Kind, &r.TimeZone, &r.CSVBytes, &r.HTMLBytes, &r.CreatedAt)
	r.CreatedAt = r.CreatedAt.UTC()
	return r, err
}

// loadZone knows the zones by name. The two names that Go has beside them mean the machine's zone, or nothing was given.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" || len(name) > 64 {
		return nil, fmt.Errorf("%q is not the name of a time zone", name)
	}
	return time.LoadLocation(name)
}
