package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// demoFile is where `up` keeps the tokens of the demo tenants, so that the next `up` prints ones that work.
const demoFile = "demo.json"

// demo is a demo tenant and a token of it.
type demo struct {
	tenant tenancy.Tenant
	token  string
}

// demoNote is what is kept of a demo tenant in demoFile.
type demoNote struct {
	Token string `json:"token"`
	// Filled says that the sample data is complete, and is not to be made again when somebody deletes some of it.
	Filled bool `json:"filled"`
}

type demoProject struct {
	name, description string
	tasks             []workspace.NewTask
}

// demoTenants is what the demo tenants hold.
func demoTenants() []struct {
	slug, name string
	projects   []demoProject
} {
	return []struct {
		slug, name string
		projects   []demoProject
	}{
		{"acme", "Acme Rockets", []demoProject{
			{"Moon launch", "Rocket-powered roller skates, orbital edition.", []workspace.NewTask{
				{Title: "Order 12 tonnes of propellant", Status: workspace.StatusDoing, Priority: 3},
				{Title: "Paint the nose cone red"},
				{Title: "Test the anvil release", Status: workspace.StatusDone, Priority: 1},
			}},
			{"Catalogue 2027", "Everything a coyote needs.", []workspace.NewTask{
				{Title: "Photograph the portable hole"},
				{Title: "Price the dehydrated boulders", Priority: 2},
			}},
		}},
		{"globex", "Globex Weather", []demoProject{
			{"Cloud factory", "Cumulus on demand.", []workspace.NewTask{
				{Title: "Rent a bigger valley", Status: workspace.StatusDoing, Priority: 4},
				{Title: "Hire a rain choir"},
			}},
			{"Hammock district", "Places to rest for everybody.", []workspace.NewTask{
				{Title: "Compare knots", Status: workspace.StatusDone},
				{Title: "Choose the trees", Priority: 2},
				{Title: "Write the opening speech"},
			}},
		}},
	}
}

// makeDemo makes the demo tenants with sample data and a key each, as far as they are not there. It may be cut off and run again.
func (c *cli) makeDemo(ctx context.Context, cfg config.Config, logins *tenancy.Logins, p *platform) ([]demo, error) {
	o, err := openOwner(ctx, cfg, logins)
	if err != nil {
		return nil, err
	}
	defer o.pool.Close()
	path := filepath.Join(cfg.DataDir, demoFile)
	notes := map[string]demoNote{} // by tenant id
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &notes)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, apperr.Wrap(err, apperr.Invalid, "%s cannot be read: remove it, and new demo keys are made", path)
	}
	var demos []demo
	for _, want := range demoTenants() {
		t, _, err := o.Create(ctx, tenancy.NewTenant{Slug: want.slug, Name: want.name})
		if apperr.CodeOf(err) == apperr.Conflict { // Deleted a while ago, or made by somebody with another name: theirs, not ours.
			c.note("no demo tenant: %v", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if t.State != tenancy.StateReady {
			c.note("the demo tenant %s is %s", t.Slug, t.State)
			continue
		}
		note := notes[t.ID]
		scope := p.engine.Tenant(t.Engine())
		if !note.Filled {
			if err = fillDemo(ctx, p.product, scope, want.projects); err != nil {
				return nil, fmt.Errorf("fill demo tenant %s: %w", t.Slug, err)
			}
			note.Filled = true
		}
		if p.mailbox != nil { // Nobody is sent anything.
			if err = p.demoMail(ctx, t); err != nil {
				return nil, fmt.Errorf("mail to demo tenant %s: %w", t.Slug, err)
			}
		}
		if _, err = p.keys.Authenticate(ctx, scope, note.Token); err != nil {
			_, note.Token, err = p.keys.CreateKey(ctx, scope, identity.NewKey{Name: "demo", Scopes: []string{identity.ScopeRead, identity.ScopeWrite}})
			if err != nil {
				return nil, fmt.Errorf("make demo key of %s: %w", t.Slug, err)
			}
		}
		notes[t.ID] = note
		demos = append(demos, demo{tenant: t, token: note.Token})
	}
	if text, err = json.MarshalIndent(notes, "", "  "); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if err = writeFile(path, string(text)+"\n"); err != nil {
		return nil, fmt.Errorf("keep demo keys: %w", err)
	}
	return demos, nil
}

// fillDemo makes the projects and tasks that are not there yet, by name.
func fillDemo(ctx context.Context, product *workspace.Service, scope tenantschema.Scope, projects []demoProject) error {
	for _, want := range projects {
		found, err := product.ListProjects(ctx, scope, workspace.ProjectFilter{Query: want.name}, workspace.PageRequest{})
		if err != nil {
			return err
		}
		var project workspace.Project
		if len(found.Items) > 0 {
			project = found.Items[0]
		} else if project, err = product.CreateProject(ctx, scope, workspace.NewProject{Name: want.name, Description: want.description}); err != nil {
			return err
		}
		for _, task := range want.tasks {
			there, err := product.ListTasks(ctx, scope, workspace.TaskFilter{ProjectID: &project.ID, Query: task.Title}, workspace.PageRequest{})
			if err != nil {
				return err
			}
			if len(there.Items) > 0 {
				continue
			}
			task.ProjectID = project.ID
			if _, err = product.CreateTask(ctx, scope, task); err != nil {
				return err
			}
		}
	}
	return nil
}
