package identity_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// TEMPORARY harness
func tempTenant(t *testing.T) tenantschema.Scope {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, "postgres://postgres@127.0.0.1:54999/postgres")
	require.NoError(t, err)
	defer c.Close(ctx)
	id := strings.ToLower(rand.Text()[:16])
	n := "t_" + id
	up, _ := os.ReadFile("/tmp/ws-up.sql")
	_, err = c.Exec(ctx, fmt.Sprintf("create role %[1]s; create schema %[1]s; grant usage on schema %[1]s to %[1]s; set search_path=%[1]s; %[2]s ; grant select,insert,update,delete on all tables in schema %[1]s to %[1]s; grant %[1]s to cell", n, up))
	require.NoError(t, err)
	db, err := tenantschema.Open(tenantschema.Config{Connect: func(int) (*pgx.ConnConfig, error) { return pgx.ParseConfig("postgres://cell@127.0.0.1:54999/postgres") }, MaxConns: 3})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	name, err := tenantschema.ParseName(n)
	require.NoError(t, err)
	return db.Tenant(tenantschema.Tenant{ID: id, Schema: name, Cell: 1, Version: 3})
}

// bundle is what a test works with: the service and two tenants.
type bundle struct {
	*identity.Service

	acme, globex tenantschema.Scope
	clock        *clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{acme: tempTenant(t), globex: tempTenant(t), clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}}
	var err error
	b.Service, err = identity.New(identity.Config{Clock: b.clock.Now})
	require.NoError(t, err)
	return b
}

// key makes a key that may do everything.
func (b *bundle) key(t *testing.T, scope tenantschema.Scope) (identity.Key, string) {
	t.Helper()
	key, token, err := b.CreateKey(t.Context(), scope, identity.NewKey{Name: "ci", Scopes: []string{identity.ScopeWrite}})
	require.NoError(t, err)
	return key, token
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
