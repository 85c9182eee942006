package identity

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// How often somebody may fail before waits begin: the first takes a second, each one after it twice the one before, up to 15 minutes. An office
// of many shares an address. After a day without an attempt all is forgotten.
const (
	freePerAccount = "5"
	freePerAddress = "50"
)

// subjects are what attempts are counted by, as hashes: they say nothing to who reads the table, and what is no account has one, too.
type subjects struct{ address, account []byte }

func signInSubjects(email string, c Client) subjects {
	return subjects{subject("address", network(c.RemoteAddress)), subject("account", strings.ToLower(email))}
}

// confirmSubjects count what a session may guess apart from what the world may: strangers cannot keep somebody from confirming.
func confirmSubjects(p Principal) subjects {
	return subjects{subject("session", p.SessionID.String()), subject("confirm", p.UserID.String())}
}

func subject(kind, value string) []byte {
	sum := sha256.Sum256([]byte(kind + "\n" + value))
	return sum[:]
}

// network gives what one customer of a provider has: an address of IPv4, a /64 of IPv6.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

const (
	// waitOf is how long a row f with FREE failures and more has to wait since the last.
	waitOf = `least(900, power(2, least(f.failures - FREE, 20))) * interval '1 second'`
	// count is what an attempt does to its row, unless that has to wait.
	count = ` ON CONFLICT (subject) DO UPDATE SET last_at = $3,
        failures = CASE WHEN f.last_at <= $3 - interval '1 day' THEN 1 ELSE f.failures + 1 END
    WHERE f.failures < FREE OR f.last_at + ` + waitOf + ` <= $3 RETURNING f.subject`
)

func withFree(sql, free string) string { return strings.ReplaceAll(sql, "FREE", free) }

// queueAttempt counts an attempt before it is made, and then as failed, unless its subjects have to wait. What an address may not try is not
// held against the account.
func (o subjects) queueAttempt(b *pgx.Batch, now time.Time) {
	sql := `WITH address AS (
    INSERT INTO sign_in_failures AS f (subject, failures, last_at) VALUES ($1, 1, $3::timestamptz)` + withFree(count, freePerAddress) + `
), account AS (
    INSERT INTO sign_in_failures AS f (subject, failures, last_at) SELECT $2::bytea, 1, $3 FROM address` + withFree(count, freePerAccount) + `
)
SELECT (SELECT count(*) FROM address), (SELECT count(*) FROM account)`
	b.Queue(sql, o.address, o.account, now)
}

// queueSuccess takes the attempt back: the account's failures are forgotten, those of the address are one less.
func (o subjects) queueSuccess(b *pgx.Batch) {
	b.Queue(`UPDATE sign_in_failures SET failures = greatest(failures - 1, 0) WHERE subject = $1`, o.address) // First, as when it was counted.
	b.Queue(`DELETE FROM sign_in_failures WHERE subject = $1`, o.account)
}

// admitted reads what queueAttempt gave. The error is apperr.RateLimited if there is a wait.
func (o subjects) admitted(ctx context.Context, db tenantschema.DBTX, row pgx.Row, now time.Time) (func() error, error) {
	var address, account int
	if err := row.Scan(&address, &account); err != nil {
		return nil, err
	}
	if account == 1 {
		return nil, nil
	}
	return func() error { return o.wait(ctx, db, address == 1, now) }, nil
}

// wait says how long it takes until the subject that was refused may try again.
func (o subjects) wait(ctx context.Context, db tenantschema.DBTX, account bool, now time.Time) error {
	subject, free := o.address, freePerAddress
	if account {
		subject, free = o.account, freePerAccount
	}
	sql := `SELECT extract(epoch FROM f.last_at + ` + withFree(waitOf, free) + ` - $2::timestamptz)::float8
FROM sign_in_failures f WHERE f.subject = $1`
	seconds := 1.0
	if err := db.QueryRow(ctx, sql, subject, now).Scan(&seconds); err != nil && !isNoRows(err) {
		return failed("count attempts", err)
	}
	return &apperr.Error{
		Code: apperr.RateLimited, Message: "There were too many attempts that failed. Wait a little before you try again.",
		RetryAfter: max(time.Second, time.Duration(seconds*float64(time.Second)).Round(time.Second)),
	}
}
