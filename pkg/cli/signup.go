package cli

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/signup"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/web"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// openBase makes what answers the base domain, where people sign up unless nobody may.
func (p *platform) openBase(logins *tenancy.Logins, title string) (err error) {
	base := web.BaseConfig{BaseDomain: p.cfg.Server.BaseDomain, Catalog: p.catalog, Title: title}
	if p.cfg.Signup.Enabled {
		base.SignUp, err = signup.New(signup.Config{
			Control: p.control, Jobs: p.house.Queue, People: p.house.Identity, AddressKey: logins.AddressKey(),
			SlugQuarantine: p.cfg.Tenants.SlugQuarantine, PerAddress: p.cfg.Signup.PerAddress, PerHour: p.cfg.Signup.PerHour,
		})
		if err != nil {
			return err
		}
	}
	p.base, err = web.NewBase(base)
	return err
}

// signUpMaker makes the tenants of those who sign up, with the owner's credentials. It works whether sign-up is open or not: what was taken
// before it was closed is made.
type signUpMaker struct {
	*signup.Maker

	log *zap.Logger
	// catalog and engine are its own, or nil.
	catalog *tenancy.Catalog
	engine  *tenantschema.DB
}

// openSignUpMaker makes one that reaches tenants through engine or, without one, opens its own.
func (p *provisioner) openSignUpMaker(
	ctx context.Context, cfg config.Config, log *zap.Logger, engine *tenantschema.DB,
) (_ *signUpMaker, err error) {
	m := &signUpMaker{log: log.Named("signup")}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if engine == nil {
		// The catalog is for the seal's key, which changes.
		m.catalog, err = tenancy.OpenCatalog(ctx, tenancy.CatalogConfig{
			Pool: p.control, Logins: p.owner.logins, Listen: p.control.Config().ConnConfig, Log: log.Named("catalog"),
		})
		if err != nil {
			return nil, err
		}
		if m.engine, err = openEngine(cfg, p.owner.logins, m.catalog.SealKey); err != nil {
			return nil, err
		}
		engine = m.engine
	}
	jobs, err := jobqueue.New(jobqueue.Config{})
	if err != nil {
		return nil, err
	}
	people, err := identity.New(identity.Config{Jobs: jobs})
	if err != nil {
		return nil, err
	}
	m.Maker, err = signup.NewMaker(signup.MakerConfig{
		Owner: p.owner.pool, Tenants: p.owner.Manager, DB: engine, People: people, Verify: people.SendVerificationTo,
	})
	return m, err
}

// handle registers its jobs.
func (m *signUpMaker) handle(workers *jobqueue.Workers) {
	jobqueue.HandlePlatform(workers, m.Make, jobqueue.Backoff(signup.Backoff))
}

// sweepEvery is how often sign-ups that are over are looked for.
const sweepEvery = time.Hour

// keepSwept removes sign-ups that are over until ctx ends.
func (m *signUpMaker) keepSwept(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if _, err := m.Sweep(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("old sign-ups were not removed", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// close releases what it has opened.
func (m *signUpMaker) close() {
	if m == nil {
		return
	}
	if m.engine != nil {
		m.engine.Close()
	}
	if m.catalog != nil {
		m.catalog.Close()
	}
}
