package signup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// maxAttempts is how often a sign-up is tried. With [Backoff] that is some two minutes: nobody waits longer.
const maxAttempts = 10

// Backoff is how long after a failed attempt the next one comes.
func Backoff(attempt int) time.Duration {
	return min(30*time.Second, 250*time.Millisecond<<min(attempt, 10))
}

// keep is how long a sign-up is kept after it began.
const keep = 24 * time.Hour

// MakerConfig is what [NewMaker] needs. All of it is required.
type MakerConfig struct {
	// Owner logs in as the owner.
	Owner *pgxpool.Pool
	// Tenants makes tenants.
	Tenants *tenancy.Manager
	// DB gives the scopes.
	DB *tenantschema.DB
	// People makes the owner.
	People *identity.Service
	// Verify sees to the mail by which somebody shows that the address is theirs, as part of tx.
	Verify func(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID) error
	// Step, if set, is told of each step before it is taken, and stops the work by an error. For tests.
	Step func(step string) error
}

// Maker makes the tenants of those who signed up. It holds the owner's credentials.
type Maker struct {
	cfg MakerConfig
}

// NewMaker validates cfg.
func NewMaker(cfg MakerConfig) (*Maker, error) {
	if cfg.Owner == nil || cfg.Tenants == nil || cfg.DB == nil || cfg.People == nil || cfg.Verify == nil {
		return nil, errors.New("signup: MakerConfig.Owner, Tenants, DB, People and Verify are required")
	}
	if cfg.Step == nil {
		cfg.Step = func(string) error { return nil }
	}
	return &Maker{cfg: cfg}, nil
}

// row is a sign-up as the owner sees it.
type row struct {
	id                       uuid.UUID
	slug, name               string
	email, displayName, hash string
	welcome                  []byte
}

// Make does the work of the job. It may be run again, and by several at the same time, whatever was done before: each step finds what an earlier
// run has left. What no other attempt would mend ends the sign-up as failed, and so does the last attempt.
func (m *Maker) Make(ctx context.Context, args Create) error {
	r, found, err := m.take(ctx, args.ID)
	if err != nil || !found {
		return err
	}
	err = m.make(ctx, r)
	if err == nil {
		return nil
	}
	switch code := apperr.CodeOf(err); {
	case code == apperr.Conflict:
		return m.fail(ctx, r, FailureTaken, job.Cancel(err))
	case code == apperr.Invalid || code == apperr.Refused:
		return m.fail(ctx, r, FailureOther, job.Cancel(err))
	case job.FromContext(ctx).MaxAttempts > 0 && job.FromContext(ctx).Last():
		return m.fail(ctx, r, FailureOther, err)
	}
	return err
}

func (m *Maker) make(ctx context.Context, r row) error {
	if err := m.cfg.Step("tenant"); err != nil {
		return err
	}
	t, _, err := m.cfg.Tenants.Create(ctx, tenancy.NewTenant{Slug: r.slug, Name: r.name, Request: r.id.String(), Distinct: true})
	if err != nil {
		return err
	}
	if err = m.advance(ctx, r, StateMade); err != nil {
		return err
	}
	if err = m.cfg.Step("owner"); err != nil {
		return err
	}
	if err = m.admit(ctx, t, r); err != nil {
		return err
	}
	if err = m.cfg.Step("done"); err != nil {
		return err
	}
	return m.advance(ctx, r, StateDone)
}

// take begins, or begins again. found is false if there is nothing to do any more.
func (m *Maker) take(ctx context.Context, id uuid.UUID) (r row, found bool, err error) {
	const sql = `update rowhouse.signups set state = case state when 'waiting' then 'making' else state end where id = $1 and finished_at is null
		returning id, slug, name, email, display_name, password_hash, welcome_hash`
	err = m.cfg.Owner.QueryRow(ctx, sql, id).Scan(&r.id, &r.slug, &r.name, &r.email, &r.displayName, &r.hash, &r.welcome)
	if errors.Is(err, pgx.ErrNoRows) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, fmt.Errorf("signup: take: %w", err)
	}
	return r, true, nil
}

// advance notes that the sign-up has come to a state. One that has ended stays as it is.
func (m *Maker) advance(ctx context.Context, r row, to State) error {
	const sql = `update rowhouse.signups set state = $2, finished_at = case when $3 then now() end,
		password_hash = case when $3 then null else password_hash end where id = $1 and finished_at is null`
	if _, err := m.cfg.Owner.Exec(ctx, sql, r.id, string(to), to == StateDone); err != nil {
		return fmt.Errorf("signup: note %s: %w", to, err)
	}
	return nil
}

// fail ends the sign-up, and gives cause.
func (m *Maker) fail(ctx context.Context, r row, why Failure, cause error) error {
	const sql = `update rowhouse.signups set state = 'failed', error = $2, finished_at = now(), password_hash = null
		where id = $1 and finished_at is null`
	if _, err := m.cfg.Owner.Exec(ctx, sql, r.id, string(why)); err != nil {
		return errors.Join(cause, fmt.Errorf("signup: note the failure: %w", err))
	}
	return cause
}

// admit makes the tenant's first person, the token that lets their browser in, and the mail: once, and all of it or nothing.
func (m *Maker) admit(ctx context.Context, t tenancy.Tenant, r row) error {
	return m.cfg.DB.Tenant(t.Engine()).InTx(ctx, func(tx *tenantschema.Tx) error {
		first, err := job.Once(ctx, tx, "signup:"+r.id.String())
		if err != nil || !first {
			return err
		}
		u, err := m.cfg.People.CreateOwner(ctx, tx, identity.NewUser{Email: r.email, DisplayName: r.displayName, PasswordHash: r.hash})
		if err != nil {
			return err
		}
		if err = m.cfg.People.AddWelcome(ctx, tx, u.ID, r.welcome); err != nil {
			return err
		}
		if err = m.cfg.Step("mail"); err != nil {
			return err
		}
		return m.cfg.Verify(ctx, tx, u.ID)
	})
}

// Sweep removes sign-ups that began more than a day ago, and gives how many. What has not ended by then was given up by its job.
func (m *Maker) Sweep(ctx context.Context) (int64, error) {
	tag, err := m.cfg.Owner.Exec(ctx, "delete from rowhouse.signups where created_at < now() - $1::interval", keep)
	if err != nil {
		return 0, fmt.Errorf("signup: sweep: %w", err)
	}
	return tag.RowsAffected(), nil
}
