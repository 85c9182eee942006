package isolation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Config is what a proof is made with.
type Config struct {
	// Manager has the owner's credentials. Required.
	Manager *tenancy.Manager
	// Engine gives the tenants' scopes. Required.
	Engine *tenantschema.DB
	// EnqueueRole is the role by which transactions of tenants reach the job queue. Required.
	EnqueueRole string
	// Database says which database it is. See [Identify].
	Database Database
	// Version is the program's.
	Version string
	// Probes is how many attacks go on at once. Default 3.
	Probes int
}

// defaultProbes keeps two cores busy: one works on each attack in the server, little here.
const defaultProbes = 3

// proof is one in the making.
type proof struct {
	cfg       Config
	relations map[tenantschema.Name][]tenantschema.Relation

	mu       sync.Mutex
	rows     map[string]*TenantResult
	probes   int
	findings []Finding
}

// Prove inspects the database and attacks, one tenant if given and else all. What it finds stands in the report, breaches included; the
// error says why there is none.
func Prove(ctx context.Context, cfg Config, one *tenancy.Tenant) (*Report, error) {
	if cfg.Manager == nil || cfg.Engine == nil || cfg.EnqueueRole == "" || cfg.Probes < 0 {
		return nil, errors.New("isolation: Config.Manager, Engine and EnqueueRole are required, and Probes is not negative")
	}
	started := time.Now()
	in, err := cfg.Manager.Inspect(ctx, one)
	if err != nil {
		return nil, fmt.Errorf("prove isolation: %w", err)
	}
	if one != nil && !slices.ContainsFunc(in.Tenants, func(t tenancy.Tenant) bool { return t.ID == one.ID }) {
		return nil, apperr.New(apperr.Conflict, "the tenant %q is %s: there is nothing to prove about it", one.Label(), one.State)
	}
	// What has no tables is told by the inspection, and can neither attack nor be attacked.
	living := slices.DeleteFunc(slices.Clone(in.Tenants), func(t tenancy.Tenant) bool { return len(in.Relations[t.Schema]) == 0 })
	p := &proof{cfg: cfg, relations: in.Relations, rows: map[string]*TenantResult{}}
	for _, t := range in.Tenants {
		if one == nil || t.ID == one.ID {
			p.rows[t.ID] = newRow(t)
		}
	}
	p.inspected(in)
	var pairs []pair
	if len(living) > 1 {
		if pairs = planAll(living); one != nil {
			pairs = planOne(living, *one)
		}
	}
	if err = p.probe(ctx, pairs); err != nil {
		return nil, fmt.Errorf("prove isolation: %w", err)
	}
	return p.report(started, one), nil
}

func newRow(t tenancy.Tenant) *TenantResult {
	row := &TenantResult{ID: t.ID, Slug: t.Label(), Schema: t.Schema.String(), Tier: t.Tier, Cell: t.Cell, State: t.State, Limits: []string{}}
	if t.Tier == tenantschema.TierPooled {
		row.Limits = append(row.Limits, fmt.Sprintf("tier pooled: SQL that changes its role can reach the pooled tenants of cell %d", t.Cell))
	}
	return row
}

// inspected takes over what the inspection found.
func (p *proof) inspected(in tenancy.Inspection) {
	slugs := map[string]tenancy.Tenant{}
	for _, t := range in.Tenants {
		slugs[t.Schema.String()] = t
	}
	for _, f := range in.Findings {
		finding := Finding{Finding: f}
		if t, ok := slugs[f.Schema]; ok {
			finding.Tenant = t.Label()
			if row := p.rows[t.ID]; row != nil {
				row.Findings++
			}
		}
		p.findings = append(p.findings, finding)
	}
}

// probe carries the pairs out, a few at a time.
func (p *proof) probe(ctx context.Context, pairs []pair) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(p.cfg.Probes, defaultProbes))
	for _, pair := range pairs {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			result, err := p.cfg.Engine.Probe(ctx, p.subject(pair.attacker), p.subject(pair.victim), p.queueAttacks(pair.victim)...)
			if err != nil || slices.ContainsFunc(result.Open, func(a tenantschema.Attempt) bool { return !a.ByDesign }) {
				// One of the two may have been deleted since the inspection, or has another tier now.
				if changed, lookErr := p.changed(ctx, pair); lookErr == nil && changed {
					return nil
				}
			}
			if err != nil {
				return err
			}
			p.count(pair, result)
			return nil
		})
	}
	return group.Wait()
}

func (p *proof) subject(t tenancy.Tenant) tenantschema.Subject {
	return tenantschema.Subject{Tenant: t.Engine(), Relations: p.relations[t.Schema]}
}

// queueAttacks try to reach a tenant's jobs, by the way that a tenant's transaction takes to the queue.
func (p *proof) queueAttacks(victim tenancy.Tenant) [][]string {
	become := "select pg_catalog.set_config('role', '" + p.cfg.EnqueueRole + "', true), " +
		"pg_catalog.set_config('rowhouse.tenant', '" + victim.ID + "', true)"
	return [][]string{
		{"select 1 from river.river_job limit 1"},
		{"select 1 from rowhouse.tenants limit 1"},
		{"select 1 from seal.keys limit 1"},
		{become, "select 1 from river.river_job limit 1"},
		{become, `insert into river.river_job (args, kind, max_attempts, metadata) values ('{}', 'probe', 1, '{"tenant": "` + victim.ID + `"}')`},
		{become, "delete from river.river_job"},
	}
}

// changed reports whether a tenant of the pair is not what it was.
func (p *proof) changed(ctx context.Context, pair pair) (bool, error) {
	for _, t := range []tenancy.Tenant{pair.attacker, pair.victim} {
		now, err := p.cfg.Manager.Get(ctx, t.ID)
		if err != nil {
			return false, err
		}
		if now.State == tenancy.StateArchived || now.State == tenancy.StateDeleted || now.Tier != t.Tier {
			return true, nil
		}
	}
	return false, nil
}

// count adds up what came of a probe.
func (p *proof) count(pair pair, result tenantschema.ProbeResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probes++
	attacker, victim := p.rows[pair.attacker.ID], p.rows[pair.victim.ID]
	row := attacker
	if victim != nil {
		victim.AttackedBy++
	}
	if attacker != nil {
		attacker.Attacked++
	} else { // One tenant is proved: what others try on it counts for it.
		row = victim
	}
	row.Attempts, row.Refused, row.Undecided = row.Attempts+result.Tried, row.Refused+result.Refused, row.Undecided+result.Undecided
	for _, open := range result.Open {
		if open.ByDesign {
			row.ByDesign++
			continue
		}
		row.Breaches++
		p.findings = append(p.findings, Finding{Tenant: pair.victim.Label(), Finding: tenantschema.Finding{
			Breach: true, Schema: pair.victim.Schema.String(), Kind: "probe", Object: "tenant " + pair.victim.Label(),
			Problem: "inside " + pair.attacker.Label() + ": " + strings.Join(open.Statements, "; ") + ": " + open.Result,
			Mend:    "see what the inspection found about " + pair.victim.Label() + " and " + pair.attacker.Label(),
		}})
	}
}

// report puts together what is known.
func (p *proof) report(started time.Time, one *tenancy.Tenant) *Report {
	r := &Report{
		Format: Format, Version: p.cfg.Version, Database: p.cfg.Database, Tenant: "", Started: started.UTC(), Finished: time.Now().UTC(),
		Tenants: []TenantResult{}, Findings: p.findings,
	}
	if one != nil {
		r.Tenant = one.Label()
	}
	for _, row := range p.rows {
		r.Tenants = append(r.Tenants, *row)
		r.Counts.Attempts += row.Attempts
		r.Counts.Refused += row.Refused
		r.Counts.Undecided += row.Undecided
		r.Counts.ByDesign += row.ByDesign
	}
	slices.SortFunc(r.Tenants, func(a, b TenantResult) int { return cmp.Or(cmp.Compare(a.Slug, b.Slug), cmp.Compare(a.ID, b.ID)) })
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if a.Breach != b.Breach {
			if a.Breach {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Problem, b.Problem))
	})
	for _, f := range r.Findings {
		if f.Breach {
			r.Counts.Breaches++
		} else {
			r.Counts.Warnings++
		}
	}
	r.Counts.Tenants, r.Counts.Probes = len(r.Tenants), p.probes
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	return r
}

// Identify asks a database who it is. The system's identifier, which survives a change of address, needs a right that the owner may lack.
func Identify(ctx context.Context, conn *pgx.Conn) (d Database, err error) {
	err = conn.QueryRow(ctx, "select current_database(), current_setting('server_version')").Scan(&d.Name, &d.ServerVersion)
	if err != nil {
		return d, fmt.Errorf("identify database: %w", err)
	}
	d.Host = conn.Config().Host
	if err = conn.QueryRow(ctx, "select system_identifier::text from pg_catalog.pg_control_system()").Scan(&d.System); err != nil {
		d.System = "" // Host and name have to do.
	}
	return d, nil
}
