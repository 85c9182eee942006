// Package idempotency gives a request that is sent again the answer that it got the first time.
//
// Whoever sends a request chooses a key for it. The key belongs to its caller: that of another caller, and of another tenant, is another one.
//
//	Begin ─▶ mine: do the work ─▶ Finish (it is kept for a day) | Abandon (it never was)
//	      ├▶ done before: the answer of then
//	      └▶ being worked on by another request: apperr.Conflict
//
// Guarantees:
//
//   - Of requests with one key that come at once, one is worked on.
//   - A process that dies between Begin and Finish blocks the key for [Config.TakeOver] and no longer. Whether its work was committed nobody
//     knows then, so that the next request with the key does it again: once is certain unless a process dies in that moment.
//   - Answers may hold secrets. They are stored under AES-256-GCM with a key that derives from the caller's own, of which only a hash is kept:
//     who has the database, but not the key that the caller chose, cannot read them.
package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Config is what a [Store] needs. Its zero value is good.
type Config struct {
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
	// Keep is for how long an answer is given again. Default a day.
	Keep time.Duration
	// TakeOver is after how long a request that never ended is taken for dead. It must be longer than any request may take. Default one minute.
	TakeOver time.Duration
}

// Store keeps answers in the tenants' schemas. It holds no connection and no tenant. All methods are safe for concurrent use.
type Store struct {
	clock          func() time.Time
	keep, takeOver time.Duration
}

// New validates cfg and makes a Store.
func New(cfg Config) (*Store, error) {
	if cfg.Keep < 0 || cfg.TakeOver < 0 {
		return nil, errors.New("idempotency: Config.Keep and TakeOver must not be negative")
	}
	if cfg.Keep == 0 {
		cfg.Keep = 24 * time.Hour
	}
	if cfg.TakeOver == 0 {
		cfg.TakeOver = time.Minute
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Store{clock: cfg.Clock, keep: cfg.Keep, takeOver: cfg.TakeOver}, nil
}

// Hash is the SHA-256 of all of a request that makes it this one and no other.
type Hash [32]byte

// Answer is what a request was answered.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
	// TooLong says that the body was longer than what is kept, and is lost.
	TooLong bool
}

// Claim is the right, and the duty, to work on a request.
type Claim struct {
	keys keys
	at   time.Time
}

// Replay is a request that was answered before.
type Replay struct {
	// Hash is of the request that was answered: another one is a mistake of the caller's.
	Hash   Hash
	Answer Answer
}

// Begin claims a key of a caller for a request. Exactly one of claim and replay is given. The error is apperr.Conflict if another request
// with the key is being worked on.
func (s *Store) Begin(ctx context.Context, scope tenantschema.Scope, caller, key string, hash Hash) (*Claim, *Replay, error) {
	c := &Claim{keys: keysOf(caller, key), at: s.clock().UTC().Truncate(time.Microsecond)}
	// What has expired goes with whatever comes next. Never the row that is claimed: a statement cannot change a row twice.
	const claim = `WITH expired AS (
    DELETE FROM idempotency_keys WHERE id IN (
        SELECT id FROM idempotency_keys WHERE created_at < $4 AND id <> $1 ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)
)
INSERT INTO idempotency_keys AS k (id, request_hash, created_at) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET request_hash = $2, status = NULL, header = '{}', body = NULL, created_at = $3
WHERE k.created_at < $4 OR k.status IS NULL AND k.created_at < $5
RETURNING true`
	var mine bool
	err := scope.QueryRow(ctx, claim, c.keys.id[:], hash[:], c.at, c.at.Add(-s.keep), c.at.Add(-s.takeOver)).Scan(&mine)
	if err == nil {
		return c, nil, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, fmt.Errorf("idempotency: begin: %w", err)
	}
	replay, err := find(ctx, scope, c.keys)
	return nil, replay, err
}

func find(ctx context.Context, scope tenantschema.Scope, k keys) (*Replay, error) {
	const sql = `SELECT status, request_hash, header, body FROM idempotency_keys WHERE id = $1`
	var (
		status       *int
		hash, sealed []byte
		header       []byte
	)
	err := scope.QueryRow(ctx, sql, k.id[:]).Scan(&status, &hash, &header, &sealed)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && status == nil { // No row: it was given up just now.
		return nil, apperr.New(apperr.Conflict, "A request with this Idempotency-Key is being worked on. Send it again in a moment.")
	}
	if err != nil {
		return nil, fmt.Errorf("idempotency: find answer: %w", err)
	}
	r := &Replay{Hash: Hash(hash), Answer: Answer{Status: *status}}
	if err = json.Unmarshal(header, &r.Answer.Header); err != nil {
		return nil, fmt.Errorf("idempotency: find answer: %w", err)
	}
	if sealed == nil {
		r.Answer.TooLong = true
		return r, nil
	}
	if r.Answer.Body, err = k.open(sealed); err != nil {
		return nil, fmt.Errorf("idempotency: find answer: %w", err)
	}
	return r, nil
}

// Finish keeps the answer to the request. Hash is that of the request, which may not have been known at its beginning.
func (s *Store) Finish(ctx context.Context, scope tenantschema.Scope, c *Claim, hash Hash, a Answer) error {
	sealed, err := c.keys.seal(a.Body)
	if err != nil {
		return fmt.Errorf("idempotency: finish: %w", err)
	}
	header, err := json.Marshal(a.Header)
	if err != nil {
		return fmt.Errorf("idempotency: finish: %w", err)
	}
	const sql = `UPDATE idempotency_keys SET request_hash = $3, status = $4, header = $5, body = $6
WHERE id = $1 AND created_at = $2 AND status IS NULL`
	if _, err = scope.Exec(ctx, sql, c.keys.id[:], c.at, hash[:], a.Status, string(header), sealed); err != nil {
		return fmt.Errorf("idempotency: finish: %w", err)
	}
	return nil
}

// Abandon frees the key, as if the request had never come.
func (s *Store) Abandon(ctx context.Context, scope tenantschema.Scope, c *Claim) error {
	const sql = `DELETE FROM idempotency_keys WHERE id = $1 AND created_at = $2 AND status IS NULL`
	if _, err := scope.Exec(ctx, sql, c.keys.id[:], c.at); err != nil {
		return fmt.Errorf("idempotency: abandon: %w", err)
	}
	return nil
}
