package workspace

import "github.com/rowhousehq/rowhouse/pkg/job"

// Backfills are the product's data migrations that run in batches. One stays here until `rowhouse jobs backfills` shows that it is done
// everywhere, and in the releases that others still come from.
func Backfills() []job.Backfill { return nil }
