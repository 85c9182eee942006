package signup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/signup"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, func() error { return goleak.Find() })
}

const (
	here   = "192.0.2.7"
	secret = "seven rockets behind the barn"
)

// bundle is what a test works with.
type bundle struct {
	*signup.Service

	t      *testing.T
	db     *pgtest.DB
	people *identity.Service
}

func setup(t *testing.T, change ...func(*signup.Config)) *bundle {
	t.Helper()
	b := &bundle{t: t, db: pgtest.New(t)}
	var err error
	jobs, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	b.people, err = identity.New(identity.Config{Argon2Memory: 64, Jobs: jobs})
	require.NoError(t, err)
	cfg := signup.Config{
		Control: b.db.Control, Jobs: jobs, People: b.people, AddressKey: []byte("a key of thirty-two characters, or more"), SlugQuarantine: time.Hour,
		PerAddress: 100, PerHour: 1000,
	}
	for _, f := range change {
		f(&cfg)
	}
	b.Service, err = signup.New(cfg)
	require.NoError(t, err)
	return b
}

// maker makes one that is told to stop by step.
func (b *bundle) maker(step func(string) error) *signup.Maker {
	b.t.Helper()
	m, err := signup.NewMaker(signup.MakerConfig{
		Owner: b.db.Owner, Tenants: b.db.Manager, DB: b.db.Engine, People: b.people, Step: step,
		Verify: b.people.SendVerificationTo,
	})
	require.NoError(b.t, err)
	return m
}

func form(slug string) signup.Form {
	return signup.Form{Name: "Acme Rockets", Slug: slug, Email: "ada@acme.example", DisplayName: "Ada", Password: secret}
}

func (b *bundle) begin(slug string) signup.Begun {
	b.t.Helper()
	begun, err := b.Begin(b.t.Context(), form(slug), here)
	require.NoError(b.t, err)
	return begun
}

func (b *bundle) progress(begun signup.Begun) signup.Progress {
	b.t.Helper()
	p, err := b.Progress(b.t.Context(), begun.ID, begun.Browser)
	require.NoError(b.t, err)
	return p
}

// count counts rows of a tenant's table, without making the tenant.
func (b *bundle) count(slug, table string) (n int) {
	b.t.Helper()
	t, err := b.db.Manager.Get(b.t.Context(), slug)
	require.NoError(b.t, err)
	require.NoError(b.t, b.db.Engine.Tenant(t.Engine()).QueryRow(b.t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

func clientHere() identity.Client { return identity.Client{RemoteAddress: here, UserAgent: "test"} }
