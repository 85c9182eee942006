package tenancy

import (
	"context"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// How many tenants one session works on. Its backend keeps what it has seen of each: one that makes schemas slows down by that, one that
// only changes them grows, by 0.2 MB for ten tables.
const (
	sessionCreates  = 100
	sessionMigrates = 400
)

// sessions hands out one session, replaced when it is worn or broken.
type sessions struct {
	m    *Manager
	most int // uses of one session
	s    *tenantschema.Session
	uses int
}

// get gives the session for work on so many tenants.
func (p *sessions) get(ctx context.Context, tenants int) (*tenantschema.Session, error) {
	if p.s != nil && p.uses < p.most {
		p.uses += tenants
		return p.s, nil
	}
	p.close()
	s, err := p.m.cfg.Provisioner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	p.s, p.uses = s, tenants
	return s, nil
}

// close drops the session; the next get makes another.
func (p *sessions) close() {
	if p.s != nil {
		_ = p.s.Close() // What was to be kept is committed.
	}
	p.s = nil
}
