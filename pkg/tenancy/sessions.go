package tenancy

import (
	"context"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// sessionUses is how many tenants one session migrates. Its backend keeps what it has seen of each, and slows down.
const sessionUses = 100

// sessions hands out one session, replaced when it is worn or broken.
type sessions struct {
	m    *Manager
	s    *tenantschema.Session
	uses int
}

// get gives the session for work on so many tenants.
func (p *sessions) get(ctx context.Context, tenants int) (*tenantschema.Session, error) {
	if p.s != nil && p.uses < sessionUses {
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
