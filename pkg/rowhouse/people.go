package rowhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/tenantsecret"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Catalog knows the tenants.
type Catalog interface {
	httpapi.Catalog
	ByID(id string) (tenancy.Tenant, bool)
}

// providerTimeout bounds a request to a provider of sign-in, while somebody waits.
const providerTimeout = 5 * time.Second

// PeopleConfig is what of the configuration counts wherever people are dealt with: by servers, and by the operator's commands.
func PeopleConfig(cfg config.Config) identity.Config {
	return identity.Config{
		SessionIdle: cfg.Identity.SessionIdle, SessionLifetime: cfg.Identity.SessionLifetime,
		Argon2Memory: uint32(cfg.Identity.PasswordMemory / config.KiB), //nolint:gosec // Bounded by the configuration.
	}
}

// openPeople makes the identity of the tenants' people, who are mailed through mails.
func openPeople(house Config, jobs identity.Jobs, mails *mail.Service) (*identity.Service, error) {
	cfg := house.Config
	people := PeopleConfig(cfg)
	if house.Secret != "" {
		box, err := tenantsecret.New(house.Secret)
		if err != nil {
			return nil, err
		}
		people.Secrets = box
	}
	if house.Plans != nil {
		people.Quota = house.Plans
	}
	people.Jobs, people.Mailer = jobs, letters{mails}
	people.Cache = house.Cache
	if house.Plans != nil {
		people.Quota = house.Plans
	}
	people.HTTP, people.AllowHTTPIssuers = webhook.Client(providerTimeout, cfg.Webhooks.AllowPrivate), cfg.Webhooks.AllowHTTP
	people.SiteOf = func(_ context.Context, t tenantschema.Tenant) (identity.Site, error) {
		found, ok := house.Catalog.ByID(t.ID)
		if !ok {
			return identity.Site{}, fmt.Errorf("the catalog does not know the tenant %s", t.ID)
		}
		return SiteOf(cfg, found), nil
	}
	return identity.New(people)
}

// SiteOf gives where a tenant's people find it.
func SiteOf(cfg config.Config, t tenancy.Tenant) identity.Site {
	site := identity.Site{Origin: cfg.TenantOrigin(t.Slug), Host: t.Slug + "." + cfg.Server.BaseDomain, Name: t.Name}
	if site.Name == "" {
		site.Name = t.Slug
	}
	return site
}

// letters puts what identity writes into the mails' words.
type letters struct{ mails *mail.Service }

// Send is asked for by [identity.Mailer].
func (l letters) Send(ctx context.Context, tx *tenantschema.Tx, letter identity.Letter) error {
	content, err := contentOf(letter)
	if err != nil {
		return err
	}
	message, err := l.mails.Render(mail.Address{Name: letter.ToName, Address: letter.Address}, content)
	if err != nil {
		return err
	}
	return l.mails.Send(ctx, tx, message)
}

func contentOf(l identity.Letter) (mail.Content, error) {
	switch l.Kind {
	case identity.LetterInvitation:
		return mail.Invitation{Inviter: l.By, Workspace: l.Workspace, URL: l.URL, ValidFor: l.ValidFor}, nil
	case identity.LetterReset:
		return mail.PasswordReset{Name: l.ToName, Workspace: l.Workspace, URL: l.URL, ValidFor: l.ValidFor}, nil
	case identity.LetterVerify:
		return mail.Welcome{Name: l.ToName, Workspace: l.Workspace, URL: l.URL, ValidFor: l.ValidFor}, nil
	case identity.LetterNotice:
		return mail.SecurityNotice{Name: l.ToName, Workspace: l.Workspace, What: l.What, URL: l.URL}, nil
	}
	return nil, fmt.Errorf("there is no mail for the letter %q", l.Kind)
}

// handlePeople registers the workers of identity.
func handlePeople(w *jobqueue.Workers, people *identity.Service) {
	jobqueue.Handle(w, people.SendMail)
	jobqueue.Handle(w, func(ctx context.Context, scope tenantschema.Scope, _ identity.SweepDue) error {
		return people.Sweep(ctx, scope)
	})
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: identity.SweepDue{}.Kind(), Cron: "0 3 * * *", Jitter: 2 * time.Hour},
		func(time.Time, *time.Location) identity.SweepDue { return identity.SweepDue{} })
}
