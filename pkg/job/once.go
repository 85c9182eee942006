package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Once says whether the effect that key names is still to be had, and notes in the tenant's schema, as part of tx, that it was. So the effect
// that is had in the same transaction is had once, however often the job runs, and by however many workers at the same time: the second
// one waits for the first one's commit or rollback, and then is told.
//
//	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
//		first, err := job.Once(ctx, tx, "invoice.sent:"+args.InvoiceID)
//		if err != nil || !first {
//			return err
//		}
//		_, err = tx.Exec(ctx, "UPDATE accounts SET sent = sent + 1 WHERE id = $1", args.AccountID)
//		return err
//	})
//
// key has 1 to 200 characters; it begins with what the effect is, because all features of a tenant share the keys. An effect outside the
// database cannot be had exactly once by anybody: give the other side the key, too.
func Once(ctx context.Context, tx *tenantschema.Tx, key string) (first bool, err error) {
	if key == "" || len(key) > 200 {
		return false, errors.New("job: once: the key must have 1 to 200 bytes")
	}
	tag, err := tx.Exec(ctx, "INSERT INTO job_effects (key) VALUES ($1) ON CONFLICT (key) DO NOTHING", key)
	if err != nil {
		return false, fmt.Errorf("job: once %s: %w", key, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Forget removes the keys of [Once] that are older than age, and gives how many. A job that runs again after that has its effect again, so
// age is longer than any job is tried: [Opts.MaxAttempts] of 25 take some three weeks.
func Forget(ctx context.Context, db tenantschema.DBTX, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, "DELETE FROM job_effects WHERE created_at < now() - $1::interval", age)
	if err != nil {
		return 0, fmt.Errorf("job: forget: %w", err)
	}
	return tag.RowsAffected(), nil
}
