package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/cache"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// openPool opens a pool and makes sure that the database answers.
func openPool(ctx context.Context, cfg *pgx.ConnConfig, maxConns int) (*pgxpool.Pool, error) {
	poolConfig, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("pool settings: %w", err)
	}
	poolConfig.ConnConfig = cfg
	poolConfig.MaxConns = int32(min(maxConns, 1000)) //nolint:gosec // Bounded here.
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	if err = pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, apperr.Wrap(err, apperr.Unavailable, "the database at %s cannot be used as %s: check database.url and database.login_secret, "+
			"and that `rowhouse migrate up` has run", net.JoinHostPort(cfg.Host, strconv.FormatUint(uint64(cfg.Port), 10)), cfg.User)
	}
	if err = checkDirect(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// owner is what commands with the owner's credentials work with.
type owner struct {
	*tenancy.Manager

	logins *tenancy.Logins
	pool   *pgxpool.Pool
}

// openOwner connects as the owner.
func (c *cli) openOwner(ctx context.Context, cfg config.Config, logins *tenancy.Logins) (*owner, error) {
	files, err := c.product.TenantFiles()
	if err != nil {
		return nil, err
	}
	ownerConfig, err := logins.Owner()
	if err != nil {
		return nil, err
	}
	provisioner, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{
		ConnConfig: ownerConfig, Migrations: files,
		LockTimeout: cfg.Tenants.LockTimeout, StatementTimeout: cfg.Tenants.StatementTimeout,
	})
	if err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, ownerConfig, 4)
	if err != nil {
		return nil, err
	}
	manager, err := tenancy.NewManager(tenancy.ManagerConfig{
		Pool: pool, Provisioner: provisioner, Logins: logins, SlugQuarantine: cfg.Tenants.SlugQuarantine,
		CellSize: cfg.Tenants.CellSize, RoleBlock: cfg.Tenants.RoleBlock, Jobs: jobqueue.Tenancy{},
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &owner{Manager: manager, logins: logins, pool: pool}, nil
}

// migrateControl brings everything outside the tenants' schemas forward.
func migrateControl(ctx context.Context, logins *tenancy.Logins, resetLogins bool) error {
	return tenancy.MigrateControl(ctx, tenancy.ControlMigration{
		Logins: logins, ResetLogins: resetLogins,
		Then: func(ctx context.Context) error { return jobqueue.MigrateAs(ctx, logins) },
	})
}

// openEngine gives the tenants' scopes, which bear the seal of the key that sealKey gives.
func openEngine(cfg config.Config, logins *tenancy.Logins, sealKey func() tenantschema.SealKey) (*tenantschema.DB, error) {
	d := cfg.Database
	return tenantschema.Open(tenantschema.Config{
		Connect: logins.Engine, SealKey: sealKey, PlatformRole: logins.Enqueuer(), Pooler: logins.Pooled(), Tracer: telemetry.DBTimer{},
		MaxConns: d.MaxConns, AcquireTimeout: d.AcquireTimeout, IdleTimeout: d.IdleTimeout,
		MaxRelations: d.MaxRelations, MaxStatements: d.MaxStatements,
	})
}

// openEngine gives the tenants' scopes to a command of the owner's.
func (o *owner) openEngine(ctx context.Context, cfg config.Config) (*tenantschema.DB, error) {
	key, err := o.SealKey(ctx)
	if err != nil {
		return nil, err
	}
	return openEngine(cfg, o.logins, func() tenantschema.SealKey { return key })
}

// platform is what a process that serves or works is made of. It holds no owner's credentials.
type platform struct {
	cfg     config.Config
	log     *zap.Logger
	metrics *telemetry.Metrics
	control *pgxpool.Pool
	engine  *tenantschema.DB
	catalog *tenancy.Catalog
	changes *cache.Hub
	house   *rowhouse.House
	live    *live.Hub    // nil if the product wants none
	base    http.Handler // of the base domain
	mailbox *mail.Files  // shown on the admin address: only in `up`
	works   bool         // whether it works jobs, or only enqueues them
}

// newLogger makes the process's logger.
func (c *cli) newLogger(cfg config.Config) (*zap.Logger, error) {
	return telemetry.NewLogger(telemetry.LogConfig{Level: cfg.Log.Level, Format: cfg.Log.Format, Out: c.err})
}

// openPlatform connects as the control and cell roles. works says whether this process works jobs, or only enqueues them.
func (c *cli) openPlatform(
	ctx context.Context, cfg config.Config, logins *tenancy.Logins, log *zap.Logger, works bool,
) (_ *platform, err error) {
	p := &platform{cfg: cfg, log: log, works: works}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.metrics, err = telemetry.NewMetrics(telemetry.MetricsConfig{Version: version}); err != nil {
		return nil, err
	}
	controlConfig, err := logins.As(logins.Control())
	if err != nil {
		return nil, err
	}
	if p.control, err = openPool(ctx, controlConfig, cfg.Database.ControlConns); err != nil {
		return nil, err
	}
	if err = checkControl(ctx, p.control); err != nil {
		return nil, err
	}
	cells, err := tenancy.CellLogins(ctx, p.control, logins)
	if err != nil {
		return nil, err
	}
	if err = tenancy.CheckRights(ctx, logins, cells...); err != nil {
		return nil, err
	}
	p.catalog, err = tenancy.OpenCatalog(ctx, tenancy.CatalogConfig{
		Pool: p.control, Logins: logins, Listen: controlConfig, Log: log.Named("catalog"),
		OnRefresh: p.metrics.CatalogRefreshed, OnFailure: p.metrics.CatalogRefreshFailed,
	})
	if err != nil {
		return nil, err
	}
	if p.engine, err = openEngine(cfg, logins, p.catalog.SealKey); err != nil {
		return nil, err
	}
	if err = checkEngine(ctx, p.engine, logins); err != nil {
		return nil, err
	}
	p.changes, err = cache.Open(ctx, cache.Config{Listen: controlConfig, Log: log.Named("cache"), OnLookup: p.metrics.CacheLookedUp})
	if err != nil {
		return nil, err
	}
	if err = p.openHouse(ctx, c.product, controlConfig); err != nil {
		return nil, err
	}
	if err = p.openBase(logins, c.product.Title); err != nil {
		return nil, err
	}
	if err = p.metrics.RegisterPool("control", func() telemetry.PoolStat { return telemetry.FromPgxPool(p.control.Stat()) }); err != nil {
		return nil, err
	}
	err = p.metrics.RegisterPools("tenants", func() map[string]telemetry.PoolStat { return enginePools(p.engine.Stats()) })
	return p, err
}

// enginePools shows the engine's connections: all of them under their one budget, and those of each cell.
func enginePools(s tenantschema.Stats) map[string]telemetry.PoolStat {
	all := telemetry.PoolStat{Total: s.Total, Max: s.Max, Waits: s.Waits, WaitTime: s.WaitTime, Opened: s.Opened}
	pools := map[string]telemetry.PoolStat{}
	add := func(name string, l tenantschema.LoginStats) {
		pools[name] = telemetry.PoolStat{Acquired: l.Acquired, Idle: l.Idle, Total: l.Acquired + l.Idle + l.Dialing, Max: s.Max}
		all.Acquired, all.Idle = all.Acquired+l.Acquired, all.Idle+l.Idle
	}
	for n, l := range s.Cells {
		add(fmt.Sprintf("cell_%02d", n), l)
	}
	if s.Dedicated != (tenantschema.LoginStats{}) {
		add("dedicated", s.Dedicated)
	}
	pools["tenants"] = all
	return pools
}

// openProcess is openPlatform for a process that does nothing else.
func (c *cli) openProcess(ctx context.Context, cfg config.Config, works bool) (*platform, error) {
	log, err := c.newLogger(cfg)
	if err != nil {
		return nil, err
	}
	logins, err := findLogins(cfg)
	if err != nil {
		return nil, err
	}
	if logins, err = logins.WithoutOwner(); err != nil {
		return nil, err
	}
	return c.openPlatform(ctx, cfg, logins, log, works)
}

// close releases what is open, in the reverse order of opening.
func (p *platform) close() {
	if p.live != nil {
		p.live.Close()
	}
	if p.changes != nil {
		p.changes.Close()
	}
	if p.catalog != nil {
		p.catalog.Close()
	}
	if p.engine != nil {
		p.engine.Close()
	}
	if p.control != nil {
		p.control.Close()
	}
}

// checkControl says whether the catalog and River stand on the versions that this program needs.
func checkControl(ctx context.Context, pool *pgxpool.Pool) error {
	current, target, err := tenancy.ControlVersion(ctx, pool)
	if err != nil {
		return fmt.Errorf("read version of the control schema: %w", err)
	}
	if current < target {
		return apperr.New(apperr.Unavailable, "the control schema is on version %d, this program needs %d: run `rowhouse migrate up`", current, target)
	}
	ok, err := jobqueue.MigrationsCurrent(ctx, pool)
	if err != nil {
		return fmt.Errorf("read version of River's schema: %w", err)
	}
	if !ok {
		return apperr.New(apperr.Unavailable, "River's schema is older than this program needs: run `rowhouse migrate up`")
	}
	return nil
}

// serverConfig is what all servers share.
func serverConfig(cfg config.Config, log *zap.Logger, handler http.Handler) httpapi.ServerConfig {
	s := cfg.Server
	return httpapi.ServerConfig{
		Handler: handler, Log: log.Named("http"), ReadHeaderTimeout: s.ReadHeaderTimeout, ReadTimeout: s.ReadTimeout,
		WriteTimeout: s.WriteTimeout, IdleTimeout: s.IdleTimeout, MaxHeaderBytes: int(s.MaxHeaderBytes),
		DrainTime: s.DrainTime, ShutdownTimeout: s.ShutdownTimeout,
	}
}

// publicServer answers the tenants' hosts.
func (p *platform) publicServer() (*httpapi.Server, error) {
	handler, err := p.house.Handler(p.base)
	if err != nil {
		return nil, err
	}
	return httpapi.NewServer(serverConfig(p.cfg, p.log, handler))
}

// adminServer answers health checks and metrics. draining, if not nil, makes it report not ready.
func (p *platform) adminServer(draining func() bool) (*httpapi.Server, error) {
	checks := append(databaseChecks(p.control), httpapi.Check{Name: "catalog", Probe: p.checkCatalog})
	admin := httpapi.AdminConfig{Checks: checks, Metrics: p.metrics.Handler(), Draining: draining, Mailbox: p.mailbox}
	if p.works && p.cfg.Jobs.UIPassword.IsSet() {
		pages, err := p.house.Queue.UI("/jobs")
		if err != nil {
			return nil, err
		}
		admin.Jobs, admin.JobsPassword = pages, p.cfg.Jobs.UIPassword.Reveal()
	}
	return newAdminServer(p.cfg, p.log, admin)
}

// databaseChecks are what every process with an admin address needs.
func databaseChecks(pool *pgxpool.Pool) []httpapi.Check {
	return []httpapi.Check{
		{Name: "database", Probe: pool.Ping},
		{Name: "migrations", Probe: func(ctx context.Context) error { return checkControl(ctx, pool) }},
	}
}

func newAdminServer(cfg config.Config, log *zap.Logger, admin httpapi.AdminConfig) (*httpapi.Server, error) {
	admin.Log = log.Named("admin")
	handler, err := httpapi.Admin(admin)
	if err != nil {
		return nil, err
	}
	server := serverConfig(cfg, log, handler)
	server.DrainTime = 0
	return httpapi.NewServer(server)
}

// checkCatalog says whether the copy of the catalog is being followed.
func (p *platform) checkCatalog(context.Context) error {
	if age := time.Since(p.catalog.Synced()); age > time.Minute {
		return fmt.Errorf("the catalog was last read %s ago", age.Round(time.Second))
	}
	return nil
}

// listen opens a port. What hinders it is told in one line that names the flag to change.
func listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, apperr.New(apperr.Conflict, "the address %s is in use by another program: stop that, or choose another with --%s", addr, flag)
	case err != nil:
		return nil, apperr.Wrap(err, apperr.Conflict, "cannot listen on %s: choose another address with --%s", addr, flag)
	}
	return ln, nil
}

// port gives the part of addr after the last colon.
func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
