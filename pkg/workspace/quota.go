package workspace

import (
	"context"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Quota says how much a tenant may store.
type Quota interface {
	// MaxStorage gives the most bytes that all files of the tenant with that id may have, 0 for no limit, and what the limit's plan is called.
	MaxStorage(tenantID string) (most int64, plan string)
}

// storageSQL is the size of all files. It is counted each time: a counter beside them would have to be right in each statement that removes one,
// cascades included. Some 10 ms for 100,000 files, beside an upload.
const storageSQL = `SELECT coalesce(sum(size_bytes), 0) FROM attachments`

// checkStorage refuses with apperr.Conflict if another file of that size is more than the tenant's plan allows.
func (s *Service) checkStorage(ctx context.Context, db tenantschema.DBTX, tenantID string, size int64) error {
	if s.quota == nil {
		return nil
	}
	most, plan := s.quota.MaxStorage(tenantID)
	if most == 0 {
		return nil
	}
	var stored int64
	if err := db.QueryRow(ctx, storageSQL).Scan(&stored); err != nil {
		return err
	}
	if stored+size > most {
		return apperr.New(apperr.Conflict, "The plan %q allows %d bytes of files, and %d are stored. Delete some, or ask for a larger plan.",
			plan, most, stored)
	}
	return nil
}

// reserveStorage is checkStorage for the transaction that stores the file. Of two that would both take the last room the second waits, and then
// sees none.
func (s *Service) reserveStorage(ctx context.Context, tx *tenantschema.Tx, size int64) error {
	if s.quota == nil {
		return nil
	}
	if most, _ := s.quota.MaxStorage(tx.Tenant().ID); most == 0 {
		return nil
	}
	// Nobody but who stores or removes files waits, and no longer than it takes to write a row.
	if _, err := tx.Exec(ctx, `LOCK TABLE attachments IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return err
	}
	return s.checkStorage(ctx, tx, tx.Tenant().ID, size)
}
