package httpapi

import (
	"context"
	"mime"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	pathReports = "/api/v1/reports"
	mimeHTML    = "text/html"
)

// filePolicy adds to a file's own policy that nobody frames it, and that a browser which shows it gives it no rights at all.
const filePolicy = "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

// reportView is a workspace.Report as the API documents it. The conversion between them keeps both alike.
type reportView struct {
	ID        uuid.UUID      `json:"id" format:"uuid"`
	Day       workspace.Date `json:"day" format:"date"`
	Kind      string         `json:"kind" enum:"daily"`
	TimeZone  string         `json:"time_zone" example:"Europe/Berlin" doc:"Whose day it is."`
	CSVBytes  int            `json:"csv_bytes" doc:"The size of the table."`
	HTMLBytes int            `json:"html_bytes" doc:"The size of the page."`
	CreatedAt time.Time      `json:"created_at" doc:"The moment at which it shows the workspace."`
}

func viewReport(r workspace.Report) reportView { return reportView(r) }

type newReport struct {
	Day      workspace.Date `json:"day" format:"date" doc:"One of the last 90 days, today included."`
	TimeZone string         `json:"time_zone,omitempty" maxLength:"64" default:"UTC" example:"Europe/Berlin" doc:"Whose day it is; an IANA name."`
}

type reportAnswer struct {
	Body reportView
}

// reportRequested is what there is to say of a report that is still to be made.
type reportRequested struct {
	Day      workspace.Date `json:"day" format:"date"`
	TimeZone string         `json:"time_zone"`
	// The number of a job counts those of all customers, so it stays inside.
	Job string `json:"job" enum:"enqueued,waiting" doc:"enqueued, or waiting: it was there already. The report is in the list when it is made."`
}

type reportAccepted struct {
	Body reportRequested
}

type fileAnswer struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition" doc:"The name of the file."`
	Policy             string `header:"Content-Security-Policy" doc:"Under which a browser may show it: no scripts, nothing from elsewhere."`
	Body               []byte
}

func fileOf(f workspace.ReportFile, contentType, disposition string) *fileAnswer {
	return &fileAnswer{
		ContentType:        contentType + "; charset=utf-8",
		ContentDisposition: mime.FormatMediaType(disposition, map[string]string{"filename": f.Name}),
		Policy:             f.Policy + filePolicy,
		Body:               f.Content,
	}
}

func (h *handler) listReports(ctx context.Context, scope tenantschema.Scope, in *Paging) (*page[reportView], error) {
	found, err := h.cfg.Workspace.ListReports(ctx, scope, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewReport), nil
}

func (h *handler) createReport(ctx context.Context, scope tenantschema.Scope, in *struct{ Body newReport }) (*reportAccepted, error) {
	receipt, err := h.work(ctx).RequestReport(ctx, scope, workspace.ReportDue(in.Body))
	if err != nil {
		return nil, err
	}
	out := reportRequested{Day: in.Body.Day, TimeZone: in.Body.TimeZone, Job: "enqueued"}
	if receipt.Duplicate {
		out.Job = "waiting"
	}
	return &reportAccepted{Body: out}, nil
}

func (h *handler) getReport(ctx context.Context, scope tenantschema.Scope, in *ByID) (*reportAnswer, error) {
	id, err := in.id("report")
	if err != nil {
		return nil, err
	}
	report, err := h.cfg.Workspace.GetReport(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return &reportAnswer{Body: viewReport(report)}, nil
}

func (h *handler) getReportCSV(ctx context.Context, scope tenantschema.Scope, in *ByID) (*fileAnswer, error) {
	id, err := in.id("report")
	if err != nil {
		return nil, err
	}
	f, err := h.cfg.Workspace.ReportCSV(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return fileOf(f, mimeCSV, "attachment"), nil
}

func (h *handler) getReportHTML(ctx context.Context, scope tenantschema.Scope, in *ByID) (*fileAnswer, error) {
	id, err := in.id("report")
	if err != nil {
		return nil, err
	}
	f, err := h.cfg.Workspace.ReportHTML(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return fileOf(f, mimeHTML, "inline"), nil
}
