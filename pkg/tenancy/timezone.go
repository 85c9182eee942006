package tenancy

import (
	"context"
	"fmt"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// ParseTimeZone checks the name of a time zone of the IANA database. Empty means UTC. [apperr.Invalid] otherwise.
func ParseTimeZone(s string) (string, error) {
	if s == "" {
		return "UTC", nil
	}
	// The library takes "Local" for that of the machine, which is another on each.
	if _, err := time.LoadLocation(s); err != nil || s == "Local" || len(s) > 64 {
		return "", apperr.New(apperr.Invalid, "there is no time zone %q: want a name such as Europe/Berlin, America/New_York or UTC", s).
			WithField("time_zone", "is not known")
	}
	return s, nil
}

// SetTimeZone changes what a tenant's days and hours go by. Its schedules follow within a minute.
func (m *Manager) SetTimeZone(ctx context.Context, slug, zone string) (Tenant, error) {
	zone, err := ParseTimeZone(zone)
	if err != nil {
		return Tenant{}, err
	}
	t, err := m.Get(ctx, slug)
	if err != nil {
		return Tenant{}, err
	}
	tag, err := m.cfg.Pool.Exec(ctx, "update rowhouse.tenants set time_zone = $2 where id = $1 and state <> 'deleted'", t.ID, zone)
	if err != nil {
		return Tenant{}, fmt.Errorf("set time zone of %s: %w", t.Label(), err)
	}
	if tag.RowsAffected() == 0 {
		return Tenant{}, apperr.New(apperr.Conflict, "the tenant %q is deleted", t.Label())
	}
	return m.byID(ctx, t.ID)
}
