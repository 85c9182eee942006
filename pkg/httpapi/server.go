package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// ServerConfig is what a [Server] needs. A zero duration or size means the default; a negative one is refused.
type ServerConfig struct {
	// Handler answers. Required.
	Handler http.Handler
	// Log is told what net/http has to say. Required.
	Log *zap.Logger

	// ReadHeaderTimeout bounds how long a client may take to send its headers. Default 5 s.
	ReadHeaderTimeout time.Duration
	// ReadTimeout bounds headers and body. Default 30 s. It should be longer than Config.RequestTimeout, because net/http takes a
	// request whose reading has timed out for one whose client is gone.
	ReadTimeout time.Duration
	// WriteTimeout bounds handler and answer. Default 60 s. It should be longer than Config.RequestTimeout, or there is no time left
	// to say that it has passed.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request. Default 120 s.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the headers; who sends more gets 431. Default 32 KiB.
	MaxHeaderBytes int
	// DrainTime is how long a stopping server goes on accepting while it tells clients and load balancers to leave. Default 0: not at all.
	DrainTime time.Duration
	// ShutdownTimeout is how long, after that, requests under way may take. Default 30 s.
	ShutdownTimeout time.Duration
}

// Server is an HTTP server that stops without losing a request.
//
//	serving ──ctx ends──▶ draining ──DrainTime──▶ finishing ──all answered, or ShutdownTimeout──▶ stopped
//
// While it drains, it still accepts and answers, and each answer closes its connection, so that clients come back elsewhere. Without
// that phase the closing of idle connections would race with clients that send their next request on them: those would see a broken
// connection and could not know whether their request was done. Then it closes the listener and waits for the answers under way.
//
// http.Server.Shutdown alone is not enough: from its first moment net/http drops every request that it has just read.
type Server struct {
	http            *http.Server
	drainTime       time.Duration
	shutdownTimeout time.Duration
	draining        atomic.Bool
	leave           chan struct{} // closed when it begins to stop

	mu      sync.Mutex
	busy    map[net.Conn]struct{} // connections that owe an answer, or may be about to
	changed chan struct{}         // holds a token after busy has shrunk
}

// NewServer validates cfg and makes a Server.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Handler == nil || cfg.Log == nil {
		return nil, errors.New("httpapi: ServerConfig.Handler and ServerConfig.Log are required")
	}
	if cfg.MaxHeaderBytes < 0 {
		return nil, errors.New("httpapi: ServerConfig.MaxHeaderBytes must not be negative")
	}
	if cfg.MaxHeaderBytes == 0 {
		cfg.MaxHeaderBytes = 32 << 10
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		byDef time.Duration
	}{
		{"ReadHeaderTimeout", &cfg.ReadHeaderTimeout, 5 * time.Second},
		{"ReadTimeout", &cfg.ReadTimeout, 30 * time.Second},
		{"WriteTimeout", &cfg.WriteTimeout, 60 * time.Second},
		{"IdleTimeout", &cfg.IdleTimeout, 120 * time.Second},
		{"DrainTime", &cfg.DrainTime, 0},
		{"ShutdownTimeout", &cfg.ShutdownTimeout, 30 * time.Second},
	} {
		if *d.value < 0 {
			return nil, fmt.Errorf("httpapi: ServerConfig.%s must not be negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.byDef
		}
	}
	// What net/http writes holds clients' addresses, and concerns clients: it is of use only to who looks for it.
	errorLog, err := zap.NewStdLogAt(cfg.Log, zap.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("httpapi: log of the server: %w", err)
	}
	s := &Server{
		drainTime: cfg.DrainTime, shutdownTimeout: cfg.ShutdownTimeout,
		busy: map[net.Conn]struct{}{}, changed: make(chan struct{}, 1), leave: make(chan struct{}),
	}
	s.http = &http.Server{
		Handler:   s.closeWhileDraining(cfg.Handler),
		ConnState: s.track,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), drainingKey{}, (<-chan struct{})(s.leave))
		},
		ErrorLog:          errorLog,
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
	}
	return s, nil
}

// Run serves on ln, which it closes, until ctx ends and every request has been answered. It returns nil then, and an error if serving
// failed or requests had to be cut off after ShutdownTimeout. A Server runs once.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(ln) }()

	select {
	case err := <-served:
		return fmt.Errorf("httpapi: serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	close(s.leave)
	drained := time.NewTimer(s.drainTime)
	defer drained.Stop()
	select {
	case err := <-served:
		return fmt.Errorf("httpapi: serve on %s: %w", ln.Addr(), err)
	case <-drained.C:
	}
	_ = ln.Close() // Fails only if it is closed already.
	<-served       //nolint:errcheck // Says that the listener is closed.
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.shutdownTimeout)
	defer cancel()
	if err := s.finish(timeout); err != nil {
		_ = s.http.Close() // Whatever it says, the connections are gone.
		return fmt.Errorf("httpapi: requests were cut off after %s: %w", s.shutdownTimeout, err)
	}
	return nil
}

// finish waits until no connection owes an answer, and closes those that are idle.
func (s *Server) finish(ctx context.Context) error {
	for s.owing() > 0 {
		select {
		case <-s.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.http.Shutdown(ctx)
}

func (s *Server) owing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.busy)
}

// track is told of each connection's state. A new one counts as busy: its request may be on the way. If none comes,
// ReadHeaderTimeout ends it.
func (s *Server) track(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		s.busy[conn] = struct{}{}
	case http.StateIdle, http.StateHijacked, http.StateClosed:
		delete(s.busy, conn)
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

// Draining reports whether the server is stopping. Readiness is false from then on.
func (s *Server) Draining() bool { return s.draining.Load() }

type drainingKey struct{}

// Draining gives what is closed when the [Server] that serves the request with ctx begins to stop: an answer without an end must end then. It is
// nil, and never closed, for a request of no Server.
func Draining(ctx context.Context) <-chan struct{} {
	leave, _ := ctx.Value(drainingKey{}).(<-chan struct{})
	return leave
}

func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
