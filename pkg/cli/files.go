package cli

import (
	"context"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// removeFiles removes the files of a tenant that is deleted, and gives how many. Files on another machine it does not see.
func removeFiles(ctx context.Context, cfg config.Config, t tenancy.Tenant) (int, error) {
	files, err := filestore.Open(cfg.FilesDir())
	if err != nil {
		return 0, err
	}
	removed, err := files.DeleteTenant(ctx, t.Schema)
	if err != nil {
		return 0, apperr.Wrap(err, apperr.Partial, "the tenant is deleted, but not all of its files in %s are: run the same command with its id, %s",
			cfg.FilesDir(), t.ID)
	}
	return removed, nil
}
