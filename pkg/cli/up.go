package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/pgserver"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) upCommand() *cobra.Command {
	var noDemo bool
	cmd := &cobra.Command{
		Use: "up", Short: "Start everything on this machine: PostgreSQL, migrations, demo tenants, server and worker", Args: takes(),
		Long: "Start everything on this machine, for development and a first look: an embedded PostgreSQL (or the one of --database-url), all\n" +
			"migrations, two demo tenants, the server and the worker, until Ctrl-C. A second `up` finds its data again.\n\n" +
			"This one process holds the owner's credentials beside the server's. In production run `migrate`, `serve` and `work` apart.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.up(cmd.Context(), cfg, !noDemo)
		},
	}
	config.BindFlags(cmd.Flags(), "server.addr", "server.admin_addr", "server.base_domain", "database.url")
	cmd.Flags().BoolVar(&noDemo, "no-demo", false, "make no demo tenants")
	return cmd
}

func (c *cli) up(ctx context.Context, cfg config.Config, withDemo bool) (err error) {
	cfg = withMailbox(cfg)
	cfg.Webhooks.AllowHTTP, cfg.Webhooks.AllowPrivate = true, true // What listens to them on this machine is being developed, too.
	// The ports first: a busy one is found before anything is made.
	public, admin, err := listenBoth(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeUnused(public, admin)
	log, err := c.newLogger(cfg)
	if err != nil {
		return err
	}
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	logins, stop, err := c.upDatabase(ctx, cfg, log, lost)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err = c.upMigrate(ctx, cfg, logins, log); err != nil {
		return err
	}
	p, err := c.openPlatform(ctx, cfg, logins, log, true)
	if err != nil {
		return err
	}
	defer p.close()
	if p.mailbox, err = openMailbox(cfg); err != nil {
		return err
	}
	var demos []demo
	if withDemo {
		if demos, err = c.makeDemo(ctx, cfg, logins, p); err != nil {
			return err
		}
	}
	if err = p.catalog.Refresh(ctx); err != nil { // What was just made need not wait for its notification.
		return err
	}
	provisioner, err := c.startProvisioner(ctx, cfg, logins, log, p.metrics, p.engine)
	if err != nil {
		return err
	}
	defer provisioner.stop()
	c.greet(cfg, public.Addr(), admin.Addr(), demos)
	err = p.run(ctx, public, admin)
	if cause := context.Cause(ctx); errors.Is(cause, errServerLost) {
		err = errors.Join(err, cause)
	}
	return err
}

// errServerLost ends `up` when its PostgreSQL ends by itself.
var errServerLost = errors.New("the embedded PostgreSQL ended by itself: see postgres.log in the data directory")

// upDatabase starts the embedded server, or takes the configured one. stop must be called at the end.
func (c *cli) upDatabase(
	ctx context.Context, cfg config.Config, log *zap.Logger, lost context.CancelCauseFunc,
) (logins *tenancy.Logins, stop func() error, err error) {
	if cfg.Database.URL.IsSet() {
		secret, err := makeSecret(cfg)
		if err != nil {
			return nil, nil, err
		}
		logins, err = configuredLogins(cfg, secret)
		return logins, func() error { return nil }, err
	}
	server, err := pgserver.Start(ctx, pgserver.Config{
		DataDir: cfg.DataDir, Keeps: []string{secretFile, ownerFile, demoFile, signingKeyFile, mailDir, config.FilesDirName},
		Progress: func(line string) { log.Info(line) },
	})
	if err != nil {
		return nil, nil, err
	}
	stop = func() error {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return server.Stop(stopCtx)
	}
	go func() { // Ends with the server, which stop waits for.
		<-server.Done()
		lost(errServerLost)
	}()
	secret, err := makeSecret(cfg)
	if err == nil {
		logins, err = prepareEmbedded(ctx, cfg, server, secret)
	}
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return logins, stop, nil
}

// upMigrate migrates everything. A tenant that fails is logged and stays as it was, like in `migrate up`.
func (c *cli) upMigrate(ctx context.Context, cfg config.Config, logins *tenancy.Logins, log *zap.Logger) error {
	// The embedded server is this data directory's alone: its logins are what the directory's secret says.
	if err := migrateControl(ctx, logins, !cfg.Database.URL.IsSet()); err != nil {
		return err
	}
	o, err := c.openOwner(ctx, cfg, logins)
	if err != nil {
		return err
	}
	defer o.pool.Close()
	err = c.migrateTenants(ctx, o, func(r tenancy.MigrationResult) {
		if r.Err != nil {
			log.Error("a tenant was not migrated", zap.String("tenant", r.Tenant.ID), zap.Int64("version", r.To), zap.Error(r.Err))
			return
		}
		log.Info("migrated tenant", zap.String("tenant", r.Tenant.ID), zap.Int64("from", r.From), zap.Int64("to", r.To))
	})
	if apperr.CodeOf(err) == apperr.Partial && ctx.Err() == nil {
		return nil
	}
	return err
}

// greet says what to open. The lines are meant to be pasted.
func (c *cli) greet(cfg config.Config, public, admin net.Addr, demos []demo) {
	var b strings.Builder
	reach, portOf := public.String(), port(public.String())
	if host, _, err := net.SplitHostPort(reach); err == nil && net.ParseIP(host).IsUnspecified() {
		reach = net.JoinHostPort("127.0.0.1", portOf)
	}
	stays := cfg.DataDir
	if cfg.Database.URL.IsSet() {
		stays = "the database of database.url"
	}
	b.WriteString("\n" + c.product.Title + " is up. Ctrl-C stops it; its data stays in " + stays + ".\n\n")
	for _, d := range demos {
		host := d.tenant.Slug + "." + cfg.Server.BaseDomain + ":" + portOf
		fmt.Fprintf(&b, "  %s\n    open http://%s/%s\n    curl -H 'Host: %s' -H 'Authorization: Bearer %s' http://%s%s\n\n",
			d.tenant.Name, host, d.signIn(), host, d.token, reach, cmp.Or(c.product.Try, "/api/openapi.json"))
	}
	if len(demos) == 0 {
		fmt.Fprintf(&b, "  make a tenant: %s tenant create SLUG%s\n\n", c.product.Name, sameDatabase(cfg))
	}
	if cfg.Signup.Enabled {
		fmt.Fprintf(&b, "  sign up for one: http://%s:%s/sign-up\n\n", cfg.Server.BaseDomain, portOf)
	}
	if cfg.Mail.Dir != "" {
		fmt.Fprintf(&b, "  mails that were sent: http://%s/mailbox\n", admin)
	}
	fmt.Fprintf(&b, "  health and metrics: http://%s/readyz and /metrics\n\n", admin)
	_, _ = fmt.Fprint(c.out, b.String()) // Served all the same.
	if file, ok := c.out.(*os.File); ok {
		_ = file.Sync() // Some outputs cannot.
	}
}

// signIn says as whom to sign in.
func (d demo) signIn() string {
	if d.password == "" {
		return ""
	}
	return " and sign in as " + d.email + " with " + d.password
}

// sameDatabase is what another command's line needs beside its own words to find the database of this `up`.
func sameDatabase(cfg config.Config) string {
	switch {
	case cfg.Database.URL.IsSet():
		return ", with the same database.url and data_dir"
	case cfg.DataDir == ".rowhouse":
		return ""
	}
	return " --data-dir " + cfg.DataDir
}
