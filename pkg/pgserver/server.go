package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Config says which server [Start] runs. Only DataDir is needed.
type Config struct {
	// DataDir is the data directory. It is made when it is missing, with its parents.
	DataDir string
	// Keeps are the names of files that the caller keeps in DataDir, possibly before there is a cluster.
	Keeps []string
	// Port on 127.0.0.1. 0 takes the one of the last run if it is free, else any free one.
	Port int
	// BinDir is where PostgreSQL's programs are. Empty: PATH, then the places where packages put them, then a download.
	BinDir string
	// Settings are further settings of the server, as in postgresql.conf. What Start decides itself, such as port, is refused.
	Settings map[string]string
	// Fast trades the data's safety in a power cut for speed: for tests.
	Fast bool
	// Progress is told what takes a while, one line at a time, such as "creating the database cluster". May be nil.
	Progress func(line string)
	// Log is told of starts, stops and unexpected ends. May be nil.
	Log *zap.Logger
}

// Server is a running PostgreSQL. Its methods may be called from several goroutines.
type Server struct {
	dir   dataDir
	log   *zap.Logger
	child *child
	locks []*lock

	mu    sync.Mutex
	state State

	stop    sync.Once
	stopErr error
}

// Start runs the server of a data directory and returns when it accepts connections. When ctx ends before that, nothing is left running;
// afterwards ctx means nothing to the server.
//
// Errors that a person can mend are [apperr.Error]: Conflict (another process runs this server, the port is taken, the cluster is of
// another version), Invalid (the directory or a setting is wrong), Unavailable (no PostgreSQL is installed; it did not start).
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{log: cfg.Log}
	if err := s.start(ctx, cfg); err != nil {
		s.unlock()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cfg Config) (err error) {
	if s.dir, err = openDataDir(cfg.DataDir, cfg.Keeps...); err != nil {
		return err
	}
	if err = s.lock(ctx, s.dir.path); err != nil {
		return err
	}
	if s.state, err = s.dir.readState(); err != nil {
		return err
	}
	if s.state.PID != 0 { // It was killed, or it would hold the lock. Find must not believe it any more.
		s.state.PID = 0
		if err = s.save(); err != nil {
			return err
		}
	}
	cluster, err := s.prepare(ctx, cfg)
	if err != nil {
		return err
	}
	return s.run(ctx, cfg, cluster)
}

func (c *Config) check() error {
	if c.DataDir == "" {
		return errors.New("pgserver: Config.DataDir is empty")
	}
	if c.Port < 0 || c.Port > 65535 {
		return apperr.New(apperr.Invalid, "%d is no port: choose one from 1 to 65535, or 0 for any that is free", c.Port)
	}
	for name := range c.Settings {
		if slices.Contains([]string{"port", "listen_addresses", "unix_socket_directories", "data_directory", "logging_collector"}, name) {
			return apperr.New(apperr.Invalid, "the setting %s belongs to the embedded server itself and cannot be changed", name)
		}
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return nil
}

// prepare leaves a cluster that nobody runs, and whose administrator has the password in s.state.
func (s *Server) prepare(ctx context.Context, cfg Config) (*cluster, error) {
	c := &cluster{log: s.dir.file(logFile), progress: cfg.Progress, fast: cfg.Fast}
	var err error
	if c.account, err = accountFor(s.dir.file(clusterDir)); err != nil {
		return nil, err
	}
	if c.dir, err = s.dir.place(c.account); err != nil {
		return nil, err
	}
	// A cluster elsewhere could belong to a copy of this data directory too.
	if home := filepath.Dir(c.dir); home != s.dir.path {
		if err = s.lock(ctx, home); err != nil {
			return nil, err
		}
	}
	major, err := c.major()
	if err != nil {
		return nil, err
	}
	if major == 0 && s.state.Version != 0 {
		return nil, apperr.New(apperr.Conflict,
			"the database cluster %s of %s is gone: bring it back, or delete %s to start with an empty one", c.dir, s.dir, s.dir.file(stateFile))
	}
	find := search{
		binDir: cfg.BinDir, path: os.Getenv("PATH"), globs: packagedBinDirs(), downloads: filepath.Join(filepath.Dir(c.dir), binDir),
		account: c.account, progress: cfg.Progress,
	}
	if c.bin, err = find.locate(ctx, major); err != nil {
		return nil, err
	}
	if err = c.recover(ctx); err != nil {
		return nil, err
	}
	if err = c.takeOver(); err != nil {
		return nil, err
	}
	lost := s.state.Password == ""
	if lost {
		s.state.Password = rand.Text()
	}
	switch {
	case major == 0:
		// The password is kept before it is needed: a crash after initdb must not leave a cluster that nobody can open.
		if err = s.save(); err != nil {
			return nil, err
		}
		err = c.create(ctx, s.state.Password)
	case lost:
		err = c.setPassword(ctx, s.state.Password)
	}
	if err != nil {
		return nil, err
	}
	s.state.Version = c.bin.major
	return c, s.save()
}

// run starts the server on a port and waits until it can be used.
func (s *Server) run(ctx context.Context, cfg Config, c *cluster) error {
	begin := time.Now()
	// Somebody may take a free port between finding and using it, which shows as a server that ends and a port that is busy.
	for attempt := 1; ; attempt++ {
		port, err := choosePort(ctx, cfg.Port, s.state.Port)
		if err != nil {
			return err
		}
		s.state.Port = port
		s.child, err = c.start(ctx, port, cfg.Settings)
		if err != nil {
			return err
		}
		err = s.child.ready(ctx, s.state.AdminURL("postgres"))
		if err == nil {
			break
		}
		if stopErr := s.child.abort(); stopErr != nil {
			s.log.Error("postgres did not stop", zap.Error(stopErr))
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("starting postgres: %w", ctx.Err())
		}
		taken := s.child.endedItself() && !portFree(context.WithoutCancel(ctx), port)
		if !taken || cfg.Port != 0 || attempt == 3 {
			return c.explain(err)
		}
	}
	s.state.PID = os.Getpid()
	if err := s.save(); err != nil {
		return errors.Join(err, s.child.abort())
	}
	s.log.Info("postgres started", zap.String("version", c.bin.version), zap.Int("port", s.state.Port), zap.Int("pid", s.child.pid()),
		zap.Duration("duration", time.Since(begin)))
	return nil
}

// AdminURL is the URL of a database, with the credentials of the server's superuser.
func (s *Server) AdminURL(db string) string { return s.State().AdminURL(db) }

// State is what [Find] tells other processes.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// save writes s.state. The caller holds mu, or is the only one to know s.
func (s *Server) save() error { return s.dir.writeState(s.state) }

// Done is closed when PostgreSQL has ended, whoever ended it. Stop must be called all the same.
func (s *Server) Done() <-chan struct{} { return s.child.done }

// Stop ends the server in order: open transactions are rolled back, connections closed, data written. When ctx ends first the server is
// ended at once, which loses nothing that was committed but makes the next start recover, and Stop says so. It returns when PostgreSQL is
// gone and another Start may come. Calling it again gives the same result.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		defer s.unlock()
		if s.child.endedItself() {
			s.log.Warn("postgres had ended by itself", zap.NamedError("exit", s.child.err))
		} else {
			s.stopErr = s.child.end(ctx)
			s.log.Info("postgres stopped", zap.Error(s.stopErr))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.state.PID = 0
		if err := s.save(); err != nil {
			s.stopErr = errors.Join(s.stopErr, err)
		}
	})
	return s.stopErr
}

func (s *Server) lock(ctx context.Context, dir string) error {
	l, err := acquire(ctx, filepath.Join(dir, lockFile))
	if holder, ok := errors.AsType[*heldError](err); ok {
		return apperr.Wrap(err, apperr.Conflict, "the server of %s is already run by %s: use that one, stop it, or choose another --data-dir",
			s.dir, holder.by())
	}
	if err != nil {
		return apperr.Wrap(err, apperr.Invalid, "cannot write to the data directory %s: make it writable for this user, or choose another --data-dir", s.dir)
	}
	s.locks = append(s.locks, l)
	return nil
}

func (s *Server) unlock() {
	for _, l := range s.locks {
		if err := l.release(); err != nil {
			s.log.Error("unlocking the data directory", zap.Error(err))
		}
	}
	s.locks = nil
}

// Find tells where the server of a running `rowhouse up` is. The error is an [apperr.Error]: NotFound when none runs, Unavailable when
// one is about to.
func Find(dir string) (State, error) {
	none := apperr.New(apperr.NotFound, "no server is running for %s: start `rowhouse up`, or give --database-url", dir)
	d := dataDir{path: dir, shown: dir}
	state, err := d.readState()
	if err != nil {
		return State{}, err
	}
	held, err := isHeld(d.file(lockFile))
	switch {
	case err != nil:
		return State{}, fmt.Errorf("finding the server of %s: %w", dir, err)
	case !held:
		return State{}, none
	case state.PID == 0:
		return State{}, apperr.New(apperr.Unavailable, "the server of %s is starting or stopping: try again when `rowhouse up` says that it is ready", dir)
	}
	return state, nil
}
