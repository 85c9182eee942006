package workspace

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Found is something that a search has found.
type Found struct {
	// Type is "project", "task" or "comment".
	Type string    `json:"type"`
	ID   uuid.UUID `json:"id"`
	// ProjectID is the project, or that of the task. TaskID is the task, or that of the comment; nil for a project.
	ProjectID uuid.UUID  `json:"project_id"`
	TaskID    *uuid.UUID `json:"task_id"`
	// Title is the name of the project, or the title of the task.
	Title string `json:"title"`
	// Excerpt is plain text around what was found, in which each hit stands between \u0002 and \u0003.
	Excerpt   string    `json:"excerpt"`
	CreatedAt time.Time `json:"created_at"`
}

// Around each hit in an excerpt: no text holds these, because control characters are refused.
const (
	HitBegins = "\u0002"
	HitEnds   = "\u0003"
)

// Search gives what holds all words of query, the best first, at most limit of it (1 to [MaxLimit], or 0 for [DefaultLimit]). The last word may
// be the beginning of one. "Quoted words" stand side by side, -word must not be there, and or is either. The error is apperr.Invalid for a query
// or limit that is wrong.
//
// It looks at each task and comment of the tenant: see docs/api.md for what that costs.
func (s *Service) Search(ctx context.Context, scope tenantschema.Scope, query string, limit int) ([]Found, error) {
	var check checker
	if query = check.line("q", query, maxSearch); strings.TrimSpace(query) == "" {
		return nil, check.err("Nothing can be searched for by this.")
	}
	if limit < 0 || limit > MaxLimit {
		check.add("limit", "Give a number from 1 to %d.", MaxLimit)
	}
	if err := check.err("Nothing can be searched for by this."); err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = DefaultLimit
	}
	rows, err := scope.Query(ctx, searchSQL, query, limit)
	if err != nil {
		return nil, failed("search", err)
	}
	found, err := pgx.CollectRows(rows, scanFound)
	if err != nil {
		return nil, failed("search", err)
	}
	return found, nil
}

// searchSQL ranks first and makes excerpts of what is shown only: they are dear. A query that ends in a word has that become a beginning, by ":*";
// one that ends in a negated phrase ends in a bracket and stays. One without a word finds nothing.
const searchSQL = `WITH asked AS (
    SELECT CASE WHEN right(q::text, 1) = '''' THEN (q::text || ':*')::tsquery ELSE q END AS q FROM websearch_to_tsquery('simple', $1) AS q
), hits AS (
    SELECT 'project' AS type, p.id, ts_rank(to_tsvector('simple', p.name), a.q) + 1 AS rank
    FROM projects AS p CROSS JOIN asked AS a WHERE to_tsvector('simple', p.name || ' ' || p.description) @@ a.q
    UNION ALL
    SELECT 'task', t.id, ts_rank(t.words, a.q) FROM tasks AS t CROSS JOIN asked AS a WHERE t.words @@ a.q
    UNION ALL
    SELECT 'comment', c.id, ts_rank(c.words, a.q) FROM comments AS c CROSS JOIN asked AS a WHERE c.words @@ a.q
    ORDER BY rank DESC, id DESC LIMIT $2
)
SELECT h.type, h.id, coalesce(p.id, t.project_id), t.id, coalesce(p.name, t.title),
    ts_headline('simple', coalesce(c.body, p.name || ' ' || p.description, t.title || ' ' || t.description), a.q,
        'StartSel=` + HitBegins + `, StopSel=` + HitEnds + `, MaxWords=30, MinWords=10'),
    coalesce(c.created_at, p.created_at, t.created_at)
FROM hits AS h CROSS JOIN asked AS a
LEFT JOIN projects AS p ON h.type = 'project' AND p.id = h.id
LEFT JOIN comments AS c ON h.type = 'comment' AND c.id = h.id
LEFT JOIN tasks AS t ON t.id = CASE h.type WHEN 'task' THEN h.id WHEN 'comment' THEN c.task_id END
ORDER BY h.rank DESC, h.id DESC`

func scanFound(row pgx.CollectableRow) (Found, error) {
	var f Found
	err := row.Scan(&f.Type, &f.ID, &f.ProjectID, &f.TaskID, &f.Title, &f.Excerpt, &f.CreatedAt)
	f.CreatedAt = f.CreatedAt.UTC()
	return f, err
}
