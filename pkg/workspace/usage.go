package workspace

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Usage is how much of everything a tenant has.
type Usage struct {
	// Users are those who are not shut out.
	Users     int64 `json:"users"`
	Projects  int64 `json:"projects"`
	Tasks     int64 `json:"tasks"`
	OpenTasks int64 `json:"open_tasks"`
	Comments  int64 `json:"comments"`
	Files     int64 `json:"files"`
	// FileBytes is what the files take together.
	FileBytes int64 `json:"file_bytes"`
	// Activity is how much happened on each of the last days, the oldest first, the last of them today, by UTC.
	Activity []DayActivity `json:"activity"`
}

// DayActivity is how much happened on a day.
type DayActivity struct {
	Day    Date  `json:"day"`
	Events int64 `json:"events"`
}

// MaxUsageDays is of how many days [Service.Usage] can tell.
const MaxUsageDays = 90

// Usage counts what the tenant has now, and what happened on each of the last days (1 to [MaxUsageDays]): else the error is apperr.Invalid.
func (s *Service) Usage(ctx context.Context, scope tenantschema.Scope, days int) (Usage, error) {
	if days < 1 || days > MaxUsageDays {
		return Usage{}, apperr.New(apperr.Invalid, "The usage cannot be told of so many days.").WithField("days", "Give a number from 1 to 90.")
	}
	now := s.now()
	today := NewDate(now.Year(), now.Month(), now.Day())
	first := today.AddDays(1 - days)
	var batch pgx.Batch
	batch.Queue(`SELECT (SELECT count(*) FROM users WHERE disabled_at IS NULL), (SELECT count(*) FROM projects), count(*),
    count(*) FILTER (WHERE status IN ('todo', 'doing')), (SELECT count(*) FROM comments),
    (SELECT count(*) FROM attachments), (SELECT coalesce(sum(size_bytes), 0)::bigint FROM attachments)
FROM tasks`)
	// Events get their ids when they happen. A day of reserve is for clocks that differ.
	batch.Queue(`SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) FROM activity
WHERE event_id >= $1 AND occurred_at >= $2 GROUP BY day`, v7At(first.AddDays(-1).In(time.UTC)), first.In(time.UTC))
	results := scope.SendBatch(ctx, &batch)
	u, err := readUsage(results, first, days)
	if closing := results.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return Usage{}, failed("count usage", err)
	}
	return u, nil
}

func readUsage(results pgx.BatchResults, first Date, days int) (Usage, error) {
	var u Usage
	if err := results.QueryRow().Scan(&u.Users, &u.Projects, &u.Tasks, &u.OpenTasks, &u.Comments, &u.Files, &u.FileBytes); err != nil {
		return u, err
	}
	rows, err := results.Query() //nolint:rowserrcheck // ForEachRow checks it.
	if err != nil {
		return u, err
	}
	count := map[string]int64{}
	var day Date
	var events int64
	if _, err = pgx.ForEachRow(rows, []any{&day, &events}, func() error {
		count[day.String()] = events
		return nil
	}); err != nil {
		return u, err
	}
	for i := range days {
		day := first.AddDays(i)
		u.Activity = append(u.Activity, DayActivity{Day: day, Events: count[day.String()]})
	}
	return u, nil
}
