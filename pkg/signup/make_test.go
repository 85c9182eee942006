package signup_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/signup"
)

var errKilled = errors.New("killed")

// requireWhole makes sure that there is one of everything, and the way in is open to the browser that signed up.
func (b *bundle) requireWhole(begun signup.Begun) {
	b.t.Helper()
	t := b.t
	p := b.progress(begun)
	require.Equal(t, signup.StateDone, p.State)
	require.Equal(t, 1, b.count(begun.Slug, "users"))
	require.Equal(t, 1, b.count(begun.Slug, "user_tokens WHERE kind = 'welcome'"))
	require.Equal(t, 1, b.count(begun.Slug, "user_tokens WHERE kind = 'verify'"))
	var tenants, hashes, mails int
	require.NoError(t, b.db.Owner.QueryRow(t.Context(), `select count(*) from river.river_job j join rowhouse.tenants t on t.id = j.metadata ->> 'tenant'
		where t.slug = $1 and j.kind = 'identity.mail'`, begun.Slug).Scan(&mails))
	require.Equal(t, 1, mails)
	require.NoError(t, b.db.Owner.QueryRow(t.Context(), "select count(*) from rowhouse.tenants where request = $1", begun.ID).Scan(&tenants))
	require.NoError(t, b.db.Owner.QueryRow(t.Context(), "select count(password_hash) from rowhouse.signups where id = $1", begun.ID).Scan(&hashes))
	require.Equal(t, []int{1, 0}, []int{tenants, hashes})

	tenant, err := b.db.Manager.Get(t.Context(), begun.Slug)
	require.NoError(t, err)
	require.Equal(t, "Acme Rockets", tenant.Name)
	scope := b.db.Engine.Tenant(tenant.Engine())
	in, err := b.people.SignIn(t.Context(), scope, "ada@acme.example", secret, clientHere())
	require.NoError(t, err)
	require.Equal(t, "owner", string(in.User.Role))
}

// Whatever the step at which a run dies, the next one ends what it began.
func TestMake_Killed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, step := range []string{"tenant", "owner", "mail", "done"} {
		begun := b.begin([]string{"acme", "globex", "initech", "hooli"}[i])
		err := b.maker(func(s string) error {
			if s == step {
				return errKilled
			}
			return nil
		}).Make(t.Context(), signup.Create{ID: begun.ID})
		require.ErrorIs(t, err, errKilled)
		require.False(t, b.progress(begun).Ended())
		require.Empty(t, b.progress(begun).Welcome)
		require.NoError(t, b.maker(nil).Make(t.Context(), signup.Create{ID: begun.ID}))
		b.requireWhole(begun)
		require.NoError(t, b.maker(nil).Make(t.Context(), signup.Create{ID: begun.ID}), "again")
		b.requireWhole(begun)
	}
}

// The queue may give one job to two.
func TestMake_TwoAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun := b.begin("acme")
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = b.maker(nil).Make(t.Context(), signup.Create{ID: begun.ID}) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	b.requireWhole(begun)
}

// Two tenants, two browsers: each is let in at its own, and only there.
func TestMake_TwoTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme, globex := b.begin("acme"), b.begin("globex")
	for _, begun := range []signup.Begun{acme, globex} {
		require.NoError(t, b.maker(nil).Make(t.Context(), signup.Create{ID: begun.ID}))
	}
	enter := func(slug string, begun signup.Begun) error {
		tenant, err := b.db.Manager.Get(t.Context(), slug)
		require.NoError(t, err)
		_, err = b.people.Welcome(t.Context(), b.db.Engine.Tenant(tenant.Engine()), b.progress(begun).Welcome, clientHere())
		return err
	}
	require.Error(t, enter("acme", globex))
	require.Error(t, enter("globex", acme))
	require.NoError(t, enter("acme", acme))
	require.NoError(t, enter("globex", globex))
	require.Error(t, enter("acme", acme), "once")
}

// Somebody else may get the name between the form and the job: they keep it, with the same words for a name, too.
func TestMake_NameWentToAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for slug, theirs := range map[string]string{"acme": "acme", "globex": "gl0bex"} {
		begun := b.begin(slug)
		_, err := b.db.Owner.Exec(t.Context(), "update rowhouse.signups set name = $2 where id = $1", begun.ID, theirs)
		require.NoError(t, err)
		other := b.db.Tenant(theirs)
		err = b.maker(nil).Make(t.Context(), signup.Create{ID: begun.ID})
		_, cancelled := errors.AsType[*job.CancelError](err)
		require.True(t, cancelled, "%v", err)
		p := b.progress(begun)
		require.Equal(t, signup.StateFailed, p.State)
		require.Equal(t, signup.FailureTaken, p.Failure)
		require.Zero(t, b.count(other.Slug, "users"))
		var hashes int
		require.NoError(t, b.db.Owner.QueryRow(t.Context(), "select count(password_hash) from rowhouse.signups").Scan(&hashes))
		require.Zero(t, hashes)
	}
}

// After the last attempt the person is told, and the name is free again.
func TestMake_GivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun := b.begin("acme")
	stuck := b.maker(func(string) error { return errKilled })
	ctx := job.NewContext(t.Context(), job.Info{Attempt: 9, MaxAttempts: 10})
	require.ErrorIs(t, stuck.Make(ctx, signup.Create{ID: begun.ID}), errKilled)
	require.Equal(t, signup.StateMaking, b.progress(begun).State)
	ctx = job.NewContext(t.Context(), job.Info{Attempt: 10, MaxAttempts: 10})
	require.ErrorIs(t, stuck.Make(ctx, signup.Create{ID: begun.ID}), errKilled)
	require.Equal(t, signup.FailureOther, b.progress(begun).Failure)
	b.begin("acme")
}

func TestSweep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old, young := b.begin("acme"), b.begin("globex")
	_, err := b.db.Owner.Exec(t.Context(), "update rowhouse.signups set created_at = now() - interval '25 hours' where id = $1", old.ID)
	require.NoError(t, err)
	n, err := b.maker(nil).Sweep(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	_, err = b.Progress(t.Context(), old.ID, old.Browser)
	requireCode(t, err, apperr.NotFound) //nolint:errcheck // It is looked at in the next line.
	require.Equal(t, signup.StateWaiting, b.progress(young).State)
}
