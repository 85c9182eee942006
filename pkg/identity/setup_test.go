package identity_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, func() error { return goleak.Find() })
}

// bundle is what a test works with: the service and two tenants.
type bundle struct {
	*identity.Service

	acme, globex tenantschema.Scope
	clock        *clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{acme: db.Scope("acme"), globex: db.Scope("globex"), clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}}
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
