package tenancy

import (
	"context"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
)

// CreateTenant is the job that makes a tenant, for processes that hold no owner's credentials, such as those that take sign-ups. It is
// worked by processes that do ([Manager.CreateByJob]). Of two for the same slug that wait at the same time there is one.
type CreateTenant struct {
	// Slug, Name and Tier are those of [NewTenant].
	Slug string `json:"slug"`
	Name string `json:"name"`
	Tier string `json:"tier,omitempty"`
}

// PlatformKind names the job.
func (CreateTenant) PlatformKind() string { return "tenancy.create" }

// JobOpts lets it go first, since somebody waits for it, and gives it up before that one would.
func (c CreateTenant) JobOpts() job.Opts {
	return job.Opts{Queue: job.QueueCritical, MaxAttempts: 8, Unique: c.Slug}
}

// Check says what is wrong with it before it is enqueued: [apperr.Invalid] with the fields.
func (c CreateTenant) Check() error {
	n := c.tenant()
	_, err := n.check()
	return err
}

func (c CreateTenant) tenant() NewTenant { return NewTenant{Slug: c.Slug, Name: c.Name, Tier: c.Tier} }

// CreateByJob does the work of the job, by [Manager.Create]: running it again finishes what a crash left, and makes nothing twice. What
// no other attempt would mend, such as a slug that is taken, ends the job.
func (m *Manager) CreateByJob(ctx context.Context, args CreateTenant) error {
	_, _, err := m.Create(ctx, args.tenant())
	if code := apperr.CodeOf(err); code == apperr.Invalid || code == apperr.Conflict || code == apperr.Refused {
		return job.Cancel(err)
	}
	return err
}
