package cli

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// tenantView is a tenant as the CLI shows it. The JSON names are part of the interface.
type tenantView struct {
	ID            string            `json:"id"`
	Slug          string            `json:"slug"`
	Name          string            `json:"name"`
	Host          string            `json:"host"`
	State         tenancy.State     `json:"state"`
	StateReason   string            `json:"state_reason,omitempty"`
	Schema        string            `json:"schema"`
	SchemaVersion int64             `json:"schema_version"`
	Cell          int               `json:"cell"`
	Placement     string            `json:"placement"`
	Tier          tenantschema.Tier `json:"tier"`
	Plan          string            `json:"plan"`
	TimeZone      string            `json:"time_zone"`
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`
	// Created says whether this call made the tenant. Only `tenant create` has it.
	Created *bool `json:"created,omitempty"`
	// JobsEnded is how many jobs this call removed. Only `tenant delete` has it.
	JobsEnded *int64 `json:"jobs_ended,omitempty"`
	// FilesRemoved is how many files this call removed. Only `tenant delete` has it.
	FilesRemoved *int `json:"files_removed,omitempty"`
}

func viewTenant(cfg config.Config, t tenancy.Tenant) tenantView {
	host := t.Slug + "." + cfg.Server.BaseDomain
	if t.Slug == "" {
		host = ""
	}
	return tenantView{
		ID: t.ID, Slug: t.Slug, Name: t.Name, Host: host, State: t.State, StateReason: t.StateReason,
		Schema: t.Schema.String(), SchemaVersion: t.SchemaVersion, Cell: t.Cell, Placement: t.Placement, Tier: t.Tier, Plan: t.Plan,
		TimeZone:  t.TimeZone,
		CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(),
	}
}

func (v tenantView) fields() [][]string {
	state := string(v.State)
	if v.StateReason != "" {
		state += " (" + v.StateReason + ")"
	}
	return [][]string{
		{"id", v.ID},
		{"slug", v.Slug},
		{"name", v.Name},
		{"host", v.Host},
		{"state", state},
		{"schema", v.Schema},
		{"schema version", strconv.FormatInt(v.SchemaVersion, 10)},
		{"cell", strconv.Itoa(v.Cell)},
		{"placement", v.Placement},
		{"tier", string(v.Tier)},
		{"plan", v.Plan},
		{"time zone", v.TimeZone},
		{"created", v.CreatedAt.Format(time.RFC3339)},
	}
}

func (c *cli) tenantCommand() *cobra.Command {
	return c.group("tenant", "Create, show, change, suspend and delete tenants", "A tenant is named by its subdomain or by its id.",
		c.tenantCreate(), c.tenantList(), c.tenantShow(), c.tenantSetTier(), c.tenantSetPlan(), c.tenantSetTimeZone(),
		c.tenantSuspend(), c.tenantResume(), c.tenantDelete())
}

// asOwner makes a command that works with the owner's credentials on the named tenant, if it takes one.
func (c *cli) asOwner(use, short, long string, run func(ctx context.Context, cfg config.Config, o *owner, args []string) error) *cobra.Command {
	words := strings.Fields(use)
	cmd := &cobra.Command{
		Use: use, Short: short, Long: strings.TrimSpace(short + ".\n\n" + long), Args: takes(words[1:]...),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			logins, err := findLogins(cfg)
			if err != nil {
				return err
			}
			o, err := c.openOwner(cmd.Context(), cfg, logins)
			if err != nil {
				return err
			}
			defer o.pool.Close()
			return run(cmd.Context(), cfg, o, args)
		},
	}
	if slices.Contains(words, "TENANT") {
		cmd.ValidArgsFunction = c.completeTenants
	}
	config.BindFlags(cmd.Flags(), "server.base_domain", "database.url")
	return cmd
}

// completeTenants completes the names of tenants; without a database it completes nothing.
func (c *cli) completeTenants(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	cfg, _, err := c.load(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	logins, err := findLogins(cfg)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	o, err := c.openOwner(ctx, cfg, logins)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer o.pool.Close()
	tenants, err := o.List(ctx, tenancy.ListFilter{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var slugs []string
	for _, t := range tenants {
		if strings.HasPrefix(t.Slug, prefix) {
			slugs = append(slugs, t.Slug+"\t"+t.Name)
		}
	}
	return slugs, cobra.ShellCompDirectiveNoFileComp
}

func (c *cli) tenantCreate() *cobra.Command {
	var name, tier, zone, file string
	var workers int
	var stdin io.Reader
	cmd := c.asOwner("create SLUG", "Create a tenant with the subdomain SLUG, or those of a file",
		"Role, schema, all migrations, grants and catalog row are made in one transaction where the migrations allow. Running servers answer on\n"+
			"the subdomain within a second. Creating a tenant that is there already changes nothing and finishes what a crash interrupted.\n\n"+
			"--from-file takes CSV whose first line names its columns: slug, and if you like name, tier and time_zone. What cannot be made is listed with its\n"+
			"line, and keeps no other from being made (exit code 4); the same command again makes what is missing.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			if file != "" {
				return c.createFromFile(ctx, cfg, o, file, stdin, workers)
			}
			t, created, err := o.Create(ctx, tenancy.NewTenant{Slug: args[0], Name: name, Tier: tier, TimeZone: zone})
			if err != nil {
				return err
			}
			view := viewTenant(cfg, t)
			view.Created = &created
			if err = c.printOne(view, view.fields()); err != nil {
				return err
			}
			if !created {
				c.note("the tenant was there already; nothing was changed")
				if tier != "" && tier != string(t.Tier) {
					c.note("its tier is %s: rowhouse tenant set-tier %s %s changes it", t.Tier, t.Slug, tier)
				}
				if zone != "" && zone != t.TimeZone {
					c.note("its time zone is %s: rowhouse tenant set-time-zone %s %s changes it", t.TimeZone, t.Slug, zone)
				}
				return nil
			}
			c.note("next: rowhouse key create %s --name my-first-key", t.Slug)
			return nil
		})
	cmd.Use = "create (SLUG | --from-file FILE)"
	one := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		stdin = cmd.InOrStdin()
		switch {
		case file == "":
			return one(cmd, args)
		case len(args) > 0 || name != "" || tier != "" || zone != "":
			return usagef("--from-file takes slugs, names, tiers and time zones from the file: leave out SLUG, --name, --tier and --time-zone")
		case workers < 1 || workers > 64:
			return usagef("--workers takes 1 to 64, not %d", workers)
		}
		return nil
	}
	cmd.Flags().StringVar(&name, "name", "", "the customer's name, for people (default: the slug)")
	cmd.Flags().StringVar(&file, "from-file", "", "CSV `file` of tenants with the columns slug, name, tier, time_zone; - reads standard input")
	cmd.Flags().IntVar(&workers, "workers", 4, "with --from-file: how many tenants are made at a time")
	cmd.Flags().StringVar(&zone, "time-zone", "", "what its days and hours go by, such as Europe/Berlin (default UTC)")
	bindTier(cmd, &tier)
	return cmd
}

func (c *cli) tenantList() *cobra.Command {
	var state string
	cmd := c.asOwner("list", "List the tenants", "Deleted ones and those made ahead are listed only by --state deleted and --state warm.",
		func(ctx context.Context, cfg config.Config, o *owner, _ []string) error {
			if state != "" && !slices.Contains(tenancy.States(), tenancy.State(state)) {
				return usagef("--state takes one of %v, not %q", tenancy.States(), state)
			}
			tenants, err := o.List(ctx, tenancy.ListFilter{State: tenancy.State(state)})
			if err != nil {
				return err
			}
			views, rows := make([]tenantView, len(tenants)), make([][]string, len(tenants))
			for i, t := range tenants {
				v := viewTenant(cfg, t)
				views[i] = v
				version, created := strconv.FormatInt(v.SchemaVersion, 10), v.CreatedAt.Format(time.DateOnly)
				rows[i] = []string{v.Slug, v.Name, string(v.State), string(v.Tier), version, v.Schema, created}
			}
			if len(rows) == 0 && c.output == outputTable {
				c.note("there are none: rowhouse tenant create SLUG makes one")
				return nil
			}
			return c.print(views, []string{"SLUG", "NAME", "STATE", "TIER", "VERSION", "SCHEMA", "CREATED"}, rows)
		})
	cmd.Flags().StringVar(&state, "state", "", "only tenants in this state")
	states := make([]string, len(tenancy.States()))
	for i, s := range tenancy.States() {
		states[i] = string(s)
	}
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cli) tenantShow() *cobra.Command {
	return c.asOwner("show TENANT", "Show one tenant", "",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			t, err := o.Get(ctx, args[0])
			if err != nil {
				return err
			}
			view := viewTenant(cfg, t)
			return c.printOne(view, view.fields())
		})
}

func (c *cli) tenantSuspend() *cobra.Command {
	var reason string
	cmd := c.asOwner("suspend TENANT", "Stop serving a tenant and working its jobs", "Its data stays as it is. All running servers obey within a second.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			t, err := o.Suspend(ctx, args[0], reason)
			if err != nil {
				return err
			}
			view := viewTenant(cfg, t)
			return c.printOne(view, view.fields())
		})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for operators")
	return cmd
}

func (c *cli) tenantResume() *cobra.Command {
	return c.asOwner("resume TENANT", "Serve a suspended tenant again", "Its waiting jobs go on.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			t, err := o.Resume(ctx, args[0])
			if err != nil {
				return err
			}
			view := viewTenant(cfg, t)
			return c.printOne(view, view.fields())
		})
}

func (c *cli) tenantDelete() *cobra.Command {
	var confirm string
	cmd := c.asOwner("delete TENANT", "Delete a tenant with all its data, for ever",
		"The tenant is archived first, so that nothing serves it any more; then schema, role, jobs and the files in files.dir are dropped. There is no way back.\n"+
			"The subdomain stays unused for tenants.slug_quarantine.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			t, err := o.Get(ctx, args[0])
			if err != nil {
				return err
			}
			if confirm != t.Label() {
				return apperr.New(apperr.Refused, "this deletes all data of %q for ever: say --confirm %s if that is what you want", t.Name, t.Label())
			}
			deleted, err := o.Delete(ctx, t.ID)
			if err != nil {
				return err
			}
			files, err := removeFiles(ctx, cfg, deleted.Tenant)
			if err != nil {
				return err
			}
			view := viewTenant(cfg, deleted.Tenant)
			view.JobsEnded, view.FilesRemoved = &deleted.Jobs, &files
			return c.printOne(view, append(view.fields(), []string{"jobs ended", strconv.FormatInt(deleted.Jobs, 10)},
				[]string{"files removed", strconv.Itoa(files)}))
		})
	cmd.Flags().StringVar(&confirm, "confirm", "", "the slug of the tenant, to say that you mean it")
	return cmd
}
