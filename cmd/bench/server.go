package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// serverConfig is what the parent tells the server process.
type serverConfig struct {
	Place    place    `json:"place"`
	Variants []string `json:"variants"`
	// Tenants is how many of each set are served.
	Tenants int `json:"tenants"`
	// Conns is how many connections each variant holds.
	Conns int `json:"conns"`
}

// serverReady is its answer: the address of each variant.
type serverReady struct {
	Addrs map[string]string `json:"addrs"`
}

// applicationName marks the backends of a variant.
func applicationName(variant string) string { return "bench-" + variant }

// serve is the server process: it serves all variants until its input ends.
func serve(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	var cfg serverConfig
	dec := json.NewDecoder(in)
	if err = dec.Decode(&cfg); err != nil {
		return fmt.Errorf("read the parent's settings: %w", err)
	}
	tenants, err := cfg.Place.tenants(ctx)
	if err != nil {
		return err
	}
	ready := serverReady{Addrs: map[string]string{}}
	var servers []*http.Server
	var closers []func()
	var group errgroup.Group
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.Close())
		}
		err = errors.Join(err, group.Wait())
		for _, closeStore := range closers {
			closeStore()
		}
	}()
	for _, variant := range cfg.Variants {
		backend, closeStore, err := openStore(ctx, cfg, variant)
		if err != nil {
			return fmt.Errorf("open %s: %w", variant, err)
		}
		closers = append(closers, closeStore)
		hosts, err := directory(setOf(variant), cfg.Tenants, tenants)
		if err != nil {
			return err
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: newEcho(backend, hosts), ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, server)
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		ready.Addrs[variant] = listener.Addr().String()
	}
	if err = json.NewEncoder(out).Encode(ready); err != nil {
		return err
	}
	// The parent closes our input when it needs us no longer, also by its death.
	_, err = io.Copy(io.Discard, in)
	return err
}

// directory gives the tenants of a set by the first label of their hosts, as the product's catalog does.
func directory(s set, count int, bySlug map[string]tenancy.Tenant) (map[string]tenantschema.Tenant, error) {
	hosts := make(map[string]tenantschema.Tenant, count)
	for i := range count {
		slug := s.slug(i)
		if s == setOf(ceiling) {
			slug = plainSlug
		}
		t, ok := bySlug[slug]
		if !ok {
			return nil, fmt.Errorf("the catalog has no tenant %s", slug)
		}
		hosts[s.slug(i)] = t.Engine()
	}
	return hosts, nil
}

// openStore opens a variant's connections.
func openStore(ctx context.Context, cfg serverConfig, variant string) (store, func(), error) {
	if variant == pooled || variant == sealed {
		return openScopes(ctx, cfg, variant)
	}
	login := cfg.Place.NaiveURL
	if variant == ceiling { // Nothing stands between the owner and its tables.
		login = cfg.Place.OwnerURL
	}
	connConfig, err := pgx.ParseConfig(login)
	if err != nil {
		return nil, nil, err
	}
	connConfig.RuntimeParams["application_name"] = applicationName(variant)
	if variant == ceiling {
		connConfig.RuntimeParams["search_path"] = cfg.Place.PlainSchema
	}
	pool, err := openPool(ctx, connConfig, cfg.Conns)
	if err != nil {
		return nil, nil, err
	}
	jobs, err := newPlainQueue()
	if variant == ceiling {
		return ceilingStore{pool: pool, jobs: jobs}, pool.Close, err
	}
	return naiveStore{pool: pool, jobs: jobs}, pool.Close, err
}

// openScopes opens the engine as the product does.
func openScopes(ctx context.Context, cfg serverConfig, variant string) (store, func(), error) {
	logins, err := cfg.Place.logins()
	if err != nil {
		return nil, nil, err
	}
	key, err := cfg.Place.sealKey(ctx)
	if err != nil {
		return nil, nil, err
	}
	db, err := tenantschema.Open(tenantschema.Config{
		Connect: func(login tenantschema.Login) (*pgx.ConnConfig, error) {
			connConfig, err := logins.Engine(login)
			if err == nil {
				connConfig.RuntimeParams["application_name"] = applicationName(variant)
			}
			return connConfig, err
		},
		SealKey: func() tenantschema.SealKey { return key }, PlatformRole: logins.Enqueuer(), MaxConns: cfg.Conns,
	})
	if err != nil {
		return nil, nil, err
	}
	jobs, err := jobqueue.New(jobqueue.Config{})
	return scopedStore{db: db, jobs: jobs}, db.Close, err
}

func openPool(ctx context.Context, connConfig *pgx.ConnConfig, conns int) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig = connConfig
	cfg.MaxConns = int32(conns) //nolint:gosec // A small number.
	return pgxpool.NewWithConfig(ctx, cfg)
}

// newEcho makes a variant's handlers.
func newEcho(backend store, hosts map[string]tenantschema.Tenant) http.Handler {
	e := echo.New()
	// What went wrong is for the load process to report.
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status := http.StatusInternalServerError
		if httpErr, ok := errors.AsType[*echo.HTTPError](err); ok {
			status = httpErr.Code
		}
		_ = c.String(status, err.Error()) // Who asked has gone if this fails.
	}
	tenant := func(c echo.Context) (tenantschema.Tenant, error) {
		slug, _, _ := strings.Cut(c.Request().Host, ".")
		t, ok := hosts[slug]
		if !ok {
			return t, echo.ErrNotFound
		}
		return t, nil
	}
	e.GET("/task/:id", func(c echo.Context) error {
		t, err := tenant(c)
		if err != nil {
			return err
		}
		id, err := uuid.Parse(c.Param("id"))
		if err != nil {
			return echo.ErrBadRequest
		}
		found, err := backend.get(c.Request().Context(), t, id)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, found)
	})
	e.GET("/tasks", func(c echo.Context) error {
		t, err := tenant(c)
		if err != nil {
			return err
		}
		project, err := uuid.Parse(c.QueryParam("project"))
		if err != nil {
			return echo.ErrBadRequest
		}
		found, err := backend.list(c.Request().Context(), t, project)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, found)
	})
	e.POST("/task", func(c echo.Context) error {
		t, err := tenant(c)
		if err != nil {
			return err
		}
		var body struct {
			ProjectID uuid.UUID `json:"project_id"`
			Title     string    `json:"title"`
		}
		if err = c.Bind(&body); err != nil {
			return err
		}
		row, err := newTask(body.ProjectID, body.Title)
		if err != nil {
			return err
		}
		if err = backend.insert(c.Request().Context(), t, row); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, row)
	})
	return e
}
