package workspace

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Project is a heading for tasks.
type Project struct {
	ID          uuid.UUID `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	// ArchivedAt is when it was put away; nil for a project in use. An archived project keeps its tasks.
	ArchivedAt *time.Time `json:"archived_at,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// NewProject is what a project is made from.
type NewProject struct {
	// Name has 1 to 100 characters. Two projects may have the same.
	Name string
	// Description has at most 10,000 characters.
	Description string
}

// ProjectPatch changes the fields that are not nil.
type ProjectPatch struct {
	Name        *string
	Description *string
	Archived    *bool
	// UnchangedSince, if not nil, makes it a patch of the project that was changed last at that time, and of no later one: [ErrChanged].
	UnchangedSince *time.Time
}

// ProjectFilter chooses projects. The zero filter chooses all.
type ProjectFilter struct {
	// Archived, if not nil, chooses those that are put away, or those that are not.
	Archived *bool
	// Query chooses those with this text in their name, in any case of letters.
	Query string
}

// ListProjects gives a page of the projects, newest first. The error is apperr.Invalid for a filter, limit or cursor that is wrong.
func (s *Service) ListProjects(ctx context.Context, scope tenantschema.Scope, f ProjectFilter, p PageRequest) (Page[Project], error) {
	var check checker
	f.Query = check.search("q", f.Query)
	if err := check.err("The projects cannot be listed by this."); err != nil {
		return Page[Project]{}, err
	}
	w, err := p.window("projects", f)
	if err != nil {
		return Page[Project]{}, err
	}
	// A tenant has few projects: one statement for all filters is kinder to the plan cache than one per combination.
	const sql = `SELECT ` + projectColumns + ` FROM projects
WHERE id < $1
  AND ($2::boolean IS NULL OR (archived_at IS NOT NULL) = $2)
  AND ($3::text IS NULL OR name ILIKE $3)
ORDER BY id DESC LIMIT $4`
	rows, err := scope.Query(ctx, sql, w.before, f.Archived, pattern(f.Query), w.fetch())
	if err != nil {
		return Page[Project]{}, failed("list projects", err)
	}
	projects, err := pgx.CollectRows(rows, scanProject)
	if err != nil {
		return Page[Project]{}, failed("list projects", err)
	}
	return pageOf(w, projects, func(p Project) uuid.UUID { return p.ID }), nil
}

// CreateProject makes a project. The error is apperr.Invalid if in is wrong.
func (s *Service) CreateProject(ctx context.Context, scope tenantschema.Scope, in NewProject) (Project, error) {
	var check checker
	in.Name = check.line("name", in.Name, maxName)
	in.Description = check.text("description", in.Description)
	if err := check.err("The project cannot be made as asked."); err != nil {
		return Project{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Project{}, failed("create project", err)
	}
	const sql = `INSERT INTO projects (id, name, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
RETURNING ` + projectColumns
	project, err := queryProject(ctx, scope, noted(sql, "$1", projectNote, projectColumns), id, in.Name, in.Description, s.now())
	if err != nil {
		return Project{}, failed("create project", err)
	}
	return project, nil
}

// GetProject gives a project. The error is apperr.NotFound if there is none with that id.
func (s *Service) GetProject(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Project, error) {
	const sql = `SELECT ` + projectColumns + ` FROM projects WHERE id = $1`
	project, err := queryProject(ctx, scope, sql, id)
	if err != nil {
		return Project{}, failedOn("get project", "project", id, err)
	}
	return project, nil
}

// PatchProject changes a project and gives it as it is now. A patch of nothing changes nothing. The error is apperr.NotFound if there
// is none with that id, apperr.Invalid if the patch is wrong.
func (s *Service) PatchProject(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, patch ProjectPatch) (Project, error) {
	if patch == (ProjectPatch{}) {
		return s.GetProject(ctx, scope, id)
	}
	var check checker
	if patch.Name != nil {
		name := check.line("name", *patch.Name, maxName)
		patch.Name = &name
	}
	if patch.Description != nil {
		description := check.text("description", *patch.Description)
		patch.Description = &description
	}
	if err := check.err("The project cannot be changed as asked."); err != nil {
		return Project{}, err
	}
	const sql = `UPDATE projects SET
    name = coalesce($2, name),
    description = coalesce($3, description),
    archived_at = CASE WHEN $4::boolean IS NULL THEN archived_at WHEN $4 THEN coalesce(archived_at, $5) END,
    updated_at = $5
WHERE id = $1 AND ($6::timestamptz IS NULL OR updated_at = $6) RETURNING ` + projectColumns
	change, err := uuid.NewV7()
	if err != nil {
		return Project{}, failed("patch project", err)
	}
	project, err := queryProject(ctx, scope, noted(sql, "$7", projectNote, projectColumns), id, patch.Name, patch.Description, patch.Archived, s.now(),
		patch.UnchangedSince, change)
	if errors.Is(err, pgx.ErrNoRows) && patch.UnchangedSince != nil {
		return Project{}, s.projectChanged(ctx, scope, id, *patch.UnchangedSince)
	}
	if err != nil {
		return Project{}, failedOn("patch project", "project", id, err)
	}
	return project, nil
}

// DeleteProject deletes a project for ever, with its tasks and all that hangs on them. The feed keeps what it knows. The error is
// apperr.NotFound if there is none with that id.
func (s *Service) DeleteProject(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	return s.DeleteProjectUnchanged(ctx, scope, id, nil)
}

// DeleteProjectUnchanged is [Service.DeleteProject] of a project that was changed last at that time, and of no later one: [ErrChanged]. nil is
// any time.
func (s *Service) DeleteProjectUnchanged(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, since *time.Time) error {
	change, err := uuid.NewV7()
	if err != nil {
		return failed("delete project", err)
	}
	const sql = `DELETE FROM projects WHERE id = $1 AND ($2::timestamptz IS NULL OR updated_at = $2) RETURNING ` + projectColumns
	_, err = queryProject(ctx, scope, noted(sql, "$3", projectNote, projectColumns), id, since, change)
	if errors.Is(err, pgx.ErrNoRows) && since != nil {
		return s.projectChanged(ctx, scope, id, *since)
	}
	if err != nil {
		return failedOn("delete project", "project", id, err)
	}
	return nil
}

// projectChanged says why no project was found as it was at the time: it is gone, or was changed.
func (s *Service) projectChanged(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, since time.Time) error {
	project, err := s.GetProject(ctx, scope, id)
	if err != nil {
		return err
	}
	if since.Equal(project.UpdatedAt) { // Made anew meanwhile, which an id is not: somebody has set it back.
		since = time.Time{}
	}
	return unchanged(&since, project.UpdatedAt)
}

const projectColumns = `id, name, description, archived_at, created_at, updated_at`

func scanProject(row pgx.CollectableRow) (Project, error) {
	var p Project
	err := row.Scan(&p.ID, &p.Name, &p.Description, &p.ArchivedAt, &p.CreatedAt, &p.UpdatedAt)
	p.ArchivedAt, p.CreatedAt, p.UpdatedAt = inUTC(p.ArchivedAt), p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, err
}

func queryProject(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Project, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Project{}, err
	}
	return pgx.CollectOneRow(rows, scanProject)
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
