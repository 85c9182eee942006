package workspace

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Where the files of an attachment lie. Both keys are made of its id, so that whoever has the id needs to remember nothing, and whatever is done
// twice is done to the same file.
const (
	attachmentDir = "attachments"
	thumbnailDir  = "thumbnails"
)

func attachmentKey(id uuid.UUID) string { return attachmentDir + "/" + id.String() }
func thumbnailKey(id uuid.UUID) string  { return thumbnailDir + "/" + id.String() }

// orphanAge is how old a file without a row must be to be nobody's. A younger one may be of an upload whose row is not yet written.
const orphanAge = 24 * time.Hour

// SweepFiles is the job that removes files whose attachment is gone, or never came to be, [Service.SweepFiles]. It is to be scheduled daily.
type SweepFiles struct{}

// Kind names the job.
func (SweepFiles) Kind() string { return "workspace.sweep_files" }

// JobOpts asks for the queue of what may take until tomorrow. A sweep that has not ended when the next is due does for that, too.
func (SweepFiles) JobOpts() job.Opts { return job.Opts{Queue: job.QueueBulk, Unique: "daily"} }

// SweepFiles does the work of the job, and forgets changes that are no news any more.
func (s *Service) SweepFiles(ctx context.Context, scope tenantschema.Scope, _ SweepFiles) error {
	unknown := func(ctx context.Context, keys []string) ([]string, error) { return orphans(ctx, scope, keys) }
	_, err := s.files.Sweep(ctx, scope.Tenant().Schema, s.now().Add(-orphanAge), unknown)
	if err != nil {
		return failed("sweep files", err)
	}
	if err = s.sweepChanges(ctx, scope); err != nil {
		return failed("sweep changes", err)
	}
	return nil
}

// orphans gives those of the keys that are of no attachment. A key that this program does not know is another version's, and kept.
func orphans(ctx context.Context, db tenantschema.DBTX, keys []string) ([]string, error) {
	ids := make([]uuid.UUID, len(keys)) // Nil for those.
	for i, key := range keys {
		if dir, name := path.Split(key); dir == attachmentDir+"/" || dir == thumbnailDir+"/" {
			ids[i], _ = uuid.Parse(name)
		}
	}
	rows, err := db.Query(ctx, `SELECT id FROM attachments WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("find attachments: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("find attachments: %w", err)
	}
	known := map[uuid.UUID]bool{uuid.Nil: true}
	for _, id := range found {
		known[id] = true
	}
	var gone []string
	for i, key := range keys {
		if !known[ids[i]] {
			gone = append(gone, key)
		}
	}
	return gone, nil
}
