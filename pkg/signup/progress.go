package signup

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// State is how far a sign-up is.
type State string

// The states, in their order; one of the last two is the end.
const (
	StateWaiting State = "waiting" // Nobody is at it yet.
	StateMaking  State = "making"  // The tenant is being made.
	StateMade    State = "made"    // The tenant is there, and is being given its owner.
	StateDone    State = "done"
	StateFailed  State = "failed"
)

// Progress is how a sign-up stands.
type Progress struct {
	ID    uuid.UUID
	State State
	// Slug and Name are those of the tenant.
	Slug, Name string
	// Failure says why it failed: [FailureTaken] or [FailureOther].
	Failure Failure
	// Welcome is the token that signs this browser in at the tenant's host, once, if the sign-up is done.
	Welcome string
}

// Ended reports whether nothing more will happen.
func (p Progress) Ended() bool { return p.State == StateDone || p.State == StateFailed }

// Failure is why a sign-up failed.
type Failure string

// The reasons.
const (
	FailureTaken Failure = "taken"  // Somebody else got the name meanwhile.
	FailureOther Failure = "failed" // It could not be made, often enough.
)

// Progress says how the sign-up stands to the browser that made it. To everybody else there is none: [apperr.NotFound].
func (s *Service) Progress(ctx context.Context, id uuid.UUID, browserToken string) (Progress, error) {
	b, ok := parseBrowser(browserToken)
	if !ok {
		return Progress{}, errNoSignUp()
	}
	p, hash := Progress{ID: id}, []byte(nil)
	err := s.cfg.Control.QueryRow(ctx, "select slug, name, state, error, browser_hash from rowhouse.signups where id = $1", id).
		Scan(&p.Slug, &p.Name, &p.State, &p.Failure, &hash)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !b.matches(hash) {
		return Progress{}, errNoSignUp()
	}
	if err != nil {
		return Progress{}, fmt.Errorf("signup: read progress: %w", err)
	}
	if p.State == StateDone {
		p.Welcome, _ = identity.WelcomeToken(b.welcome())
	}
	return p, nil
}

func errNoSignUp() error { return apperr.New(apperr.NotFound, "There is nothing here.") }
