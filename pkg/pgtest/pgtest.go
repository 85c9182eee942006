// Package pgtest gives each test a PostgreSQL database of its own.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		url := pgtest.Clone(t, "the schema's files", migrate)
//		…
//	}
//
// The server is that of TEST_DATABASE_URL, as `make test` sets it for one server in the whole run, or one that the test binary starts when
// its first test needs it. [Clone] copies a template that is built once per server; [Empty] gives an empty database; [New] one of Rowhouse.
//
// Its guarantees: what a test does in its database no other test sees; databases, and the roles of the tenants in them, are gone when the
// test ends, whether it passed or failed; a template is complete or rebuilt. With TEST_KEEP_DATABASE set to anything, the database of a
// test that failed stays and its URL is logged, which is of use on a server of TEST_DATABASE_URL.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/pgtest/internal/testserver"
)

// patience is how long a server may take to start, a template to be built, a database to be made or dropped.
const patience = 2 * time.Minute

// shared is what the tests of this test binary share: they know nothing but their testing.TB.
var shared testBinary //nolint:gochecknoglobals // See above.

type testBinary struct {
	mu        sync.Mutex
	open      bool // Main is running.
	server    func() (string, error)
	own       *testserver.Server
	templates map[string]func() (string, error)
}

// Main runs a package's tests and ends the process; call it from TestMain. The checks, such as one for goroutines that were left, run
// after the tests and after the server that this binary started, if any, has stopped. What they find fails the run.
func Main(m *testing.M, checks ...func() error) {
	shared.begin()
	code := m.Run()
	checks = append([]func() error{shared.end}, checks...)
	for _, check := range checks {
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func (b *testBinary) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = true
	b.templates = make(map[string]func() (string, error))
	b.server = sync.OnceValues(func() (string, error) {
		if url := os.Getenv(testserver.EnvURL); url != "" {
			return url, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		server, err := testserver.Start(ctx, nil)
		if err != nil {
			return "", err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.own = server
		return server.URL, nil
	})
}

func (b *testBinary) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = false
	if b.own == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return b.own.Stop(ctx)
}

// url gives the URL of the server's maintenance database.
func (b *testBinary) url() (string, error) {
	b.mu.Lock()
	open, server := b.open, b.server
	b.mu.Unlock()
	if !open {
		return "", errors.New("no server: write func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	return server()
}

// template builds a template once, however many tests ask, and gives its name.
func (b *testBinary) template(key string, build func() (string, error)) (string, error) {
	b.mu.Lock()
	once, ok := b.templates[key]
	if !ok {
		once = sync.OnceValues(build)
		b.templates[key] = once
	}
	b.mu.Unlock()
	return once()
}
