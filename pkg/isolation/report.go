package isolation

import (
	"time"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Format names the form of reports; another one gets another name. See docs/isolation-report.md.
const Format = "rowhouse-isolation-report/1"

// Report is what a proof found.
type Report struct {
	Format   string   `json:"format"`
	Version  string   `json:"version"`
	Database Database `json:"database"`
	// Tenant is the slug of the only one that was proved; "" when all were.
	Tenant   string         `json:"tenant,omitempty"`
	Started  time.Time      `json:"started"`
	Finished time.Time      `json:"finished"`
	Counts   Counts         `json:"counts"`
	Tenants  []TenantResult `json:"tenants"`
	Findings []Finding      `json:"findings"`
}

// Database says which database a report is about.
type Database struct {
	// System is PostgreSQL's own identifier of the cluster, "" if the owner may not ask for it.
	System        string `json:"system,omitempty"`
	Host          string `json:"host"`
	Name          string `json:"name"`
	ServerVersion string `json:"server_version"`
}

// Counts are the report's sums.
type Counts struct {
	Tenants int `json:"tenants"`
	// Probes are pairs of an attacker and a victim; Attempts is what they tried. Of those PostgreSQL refused Refused; Empty found no row to
	// be refused; ByDesign lie beyond what the tier promises.
	Probes   int `json:"probes"`
	Attempts int `json:"attempts"`
	Refused  int `json:"refused"`
	Empty    int `json:"empty"`
	ByDesign int `json:"by_design"`
	Breaches int `json:"breaches"`
	Warnings int `json:"warnings"`
}

// TenantResult is one tenant in a report.
type TenantResult struct {
	ID     string            `json:"id"`
	Slug   string            `json:"slug"`
	Schema string            `json:"schema"`
	Tier   tenantschema.Tier `json:"tier"`
	Cell   int               `json:"cell"`
	State  tenancy.State     `json:"state"`
	// Attacked is how many others it attacked, AttackedBy by how many it was.
	Attacked   int `json:"attacked"`
	AttackedBy int `json:"attacked_by"`
	Attempts   int `json:"attempts"`
	Refused    int `json:"refused"`
	Empty      int `json:"empty"`
	ByDesign   int `json:"by_design"`
	// Breaches are attempts that nobody refused; Findings are what the inspection found about it, warnings included.
	Breaches int `json:"breaches"`
	Findings int `json:"findings"`
	// Limits say what its tier does not promise.
	Limits []string `json:"limits"`
}

// Finding is what is wrong, with the tenant whom it concerns; "" for what concerns all.
type Finding struct {
	Tenant string `json:"tenant,omitempty"`

	tenantschema.Finding
}

// Breaches gives the findings that are holes.
func (r *Report) Breaches() []Finding { return r.Findings[:r.Counts.Breaches] }
