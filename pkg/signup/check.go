package signup

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// Reason is why a name cannot be had. There are few of them, so that nobody learns more than that.
type Reason string

// The reasons.
const (
	// ReasonNone: it is free.
	ReasonNone Reason = ""
	// ReasonForm: no subdomain can be called so.
	ReasonForm Reason = "form"
	// ReasonTaken: it is, or looks like, another's, or one that the platform keeps.
	ReasonTaken Reason = "taken"
)

// Answer says whether a name is free.
type Answer struct {
	// Slug is what was typed as a subdomain. Empty if it is none.
	Slug   string
	Reason Reason
	// Message says what is wrong, to the person; "" if it is free.
	Message string
}

// Free reports whether it can be had.
func (a Answer) Free() bool { return a.Reason == ReasonNone }

const takenMessage = "is not available"

// Check says whether somebody who signs up could have the name that was typed, now. It takes one query of two indexes.
func (s *Service) Check(ctx context.Context, typed string) (Answer, error) {
	slug, err := ReadSlug(typed)
	if problem, ok := asError(err); ok && len(problem.Fields) > 0 {
		if problem.Fields[0].Message == "is reserved" {
			return Answer{Reason: ReasonTaken, Message: takenMessage}, nil
		}
		return Answer{Reason: ReasonForm, Message: problem.Fields[0].Message}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	free, err := s.free(ctx, s.cfg.Control, slug)
	if err != nil {
		return Answer{}, err
	}
	if !free {
		return Answer{Slug: slug, Reason: ReasonTaken, Message: takenMessage}, nil
	}
	return Answer{Slug: slug}, nil
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// free reports whether no tenant, no deleted one whose name rests, and no sign-up has the name, or one that looks like it.
func (s *Service) free(ctx context.Context, q querier, slug string) (free bool, err error) {
	const sql = `select not exists (
	select from rowhouse.tenants where slug_skeleton = $1 and (state <> 'deleted' or deleted_at > now() - $2::interval))
		and not exists (select from rowhouse.signups where slug_skeleton = $1 and finished_at is null)
		and not exists (select from rowhouse.tenants where id = $3)`
	if err = q.QueryRow(ctx, sql, tenancy.Skeleton(slug), s.cfg.SlugQuarantine, slug).Scan(&free); err != nil {
		return false, fmt.Errorf("signup: look whether a name is free: %w", err)
	}
	return free, nil
}

func errTaken() error {
	return apperr.New(apperr.Conflict, "This address is not available. Choose another.").WithField("slug", takenMessage)
}
