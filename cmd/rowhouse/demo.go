package main

import (
	"context"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

type demoProject struct {
	name, description string
	tasks             []workspace.NewTask
}

// demoProjects is what the demo tenants hold.
func demoProjects() map[string][]demoProject {
	return map[string][]demoProject{
		"acme": {
			{"Moon launch", "Rocket-powered roller skates, orbital edition.", []workspace.NewTask{
				{Title: "Order 12 tonnes of propellant", Status: workspace.StatusDoing, Priority: 3},
				{Title: "Paint the nose cone red"},
				{Title: "Test the anvil release", Status: workspace.StatusDone, Priority: 1},
			}},
			{"Catalogue 2027", "Everything a coyote needs.", []workspace.NewTask{
				{Title: "Photograph the portable hole"},
				{Title: "Price the dehydrated boulders", Priority: 2},
			}},
		},
		"globex": {
			{"Cloud factory", "Cumulus on demand.", []workspace.NewTask{
				{Title: "Rent a bigger valley", Status: workspace.StatusDoing, Priority: 4},
				{Title: "Hire a rain choir"},
			}},
			{"Hammock district", "Places to rest for everybody.", []workspace.NewTask{
				{Title: "Compare knots", Status: workspace.StatusDone},
				{Title: "Choose the trees", Priority: 2},
				{Title: "Write the opening speech"},
			}},
		},
	}
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
