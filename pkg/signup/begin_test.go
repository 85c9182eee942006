package signup_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/signup"
)

func requireCode(t *testing.T, err error, code apperr.Code) *apperr.Error {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, apperr.CodeOf(err), "%v", err)
	problem, _ := err.(*apperr.Error) //nolint:errorlint // It is one itself.
	return problem
}

func fields(p *apperr.Error) (names []string) {
	for _, f := range p.Fields {
		names = append(names, f.Path)
	}
	return names
}

func TestBegin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun := b.begin("  ACME ")
	require.Equal(t, "acme", begun.Slug)
	require.Equal(t, signup.StateWaiting, b.progress(begun).State)

	var hash, args string
	require.NoError(t, b.db.Owner.QueryRow(t.Context(), `select s.password_hash, j.args::text from rowhouse.signups s, river.river_job j
		where s.id = $1 and j.kind = 'signup.create'`, begun.ID).Scan(&hash, &args))
	require.Contains(t, hash, "$argon2id$")
	require.JSONEq(t, `{"id":"`+begun.ID.String()+`"}`, args)

	// Who serves cannot read the hash.
	_, err := b.db.Control.Exec(t.Context(), "select password_hash from rowhouse.signups")
	require.ErrorContains(t, err, "42501")
	_, err = b.db.Control.Exec(t.Context(), "update rowhouse.signups set state = 'done'")
	require.ErrorContains(t, err, "42501")
}

func TestBegin_SaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Begin(t.Context(), signup.Form{Slug: "a b", Email: "ada", Password: "short", Name: "\x00"}, here)
	require.Equal(t, []string{"name", "slug", "email", "display_name", "password"}, fields(requireCode(t, err, apperr.Invalid)))
	f := form("acme")
	f.Password = "password1234"
	_, err = b.Begin(t.Context(), f, here)
	require.Equal(t, []string{"password"}, fields(requireCode(t, err, apperr.Invalid)))
	var n int
	require.NoError(t, b.db.Owner.QueryRow(t.Context(), "select count(*) from rowhouse.signups").Scan(&n))
	require.Zero(t, n)
}

// Of many who want one name at once, in any of its looks, one gets it, and the others are told.
func TestBegin_OneNameManyPeople(t *testing.T) {
	t.Parallel()
	b := setup(t)
	names := []string{"acme", "acrne", "ac-me", "acme", "a-crne", "acme"}
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { _, errs[i] = b.Begin(t.Context(), form(name), here) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.Equal(t, []string{"slug"}, fields(requireCode(t, err, apperr.Conflict)))
	}
	require.Equal(t, 1, won)
}

func TestProgress_OnlyThatBrowser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme, globex := b.begin("acme"), b.begin("globex")
	for _, token := range []string{"", globex.Browser, acme.Browser[1:], acme.Browser + "A", "%%%"} {
		_, err := b.Progress(t.Context(), acme.ID, token)
		requireCode(t, err, apperr.NotFound) //nolint:errcheck // It is looked at in the next line.
	}
	_, err := b.Progress(t.Context(), uuid.New(), acme.Browser)
	requireCode(t, err, apperr.NotFound) //nolint:errcheck // As above.
}

func TestCheck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.Tenant("acme")
	b.db.Tenant("gone")
	_, err := b.db.Manager.Delete(t.Context(), "gone")
	require.NoError(t, err)
	b.begin("globex")
	suspended := b.db.Tenant("initech")
	_, err = b.db.Manager.Suspend(t.Context(), "initech", "unpaid")
	require.NoError(t, err)
	for typed, want := range map[string]signup.Answer{
		"free": {Slug: "free"}, " FrEE ": {Slug: "free"}, //nolint:gocritic // What is typed has spaces.
		"ｆｒｅｅ": {Slug: "free"},
		"acme": {Slug: "acme", Reason: signup.ReasonTaken}, "acrne": {Slug: "acrne", Reason: signup.ReasonTaken},
		"globex": {Slug: "globex", Reason: signup.ReasonTaken}, "g-l0bex": {Slug: "g-l0bex", Reason: signup.ReasonTaken},
		"gone": {Slug: "gone", Reason: signup.ReasonTaken}, "initech": {Slug: "initech", Reason: signup.ReasonTaken},
		suspended.ID: {Slug: suspended.ID, Reason: signup.ReasonTaken},
		"www":        {Reason: signup.ReasonTaken}, "adm1n": {Reason: signup.ReasonTaken}, "a-p-i": {Reason: signup.ReasonTaken},
		"a": {Reason: signup.ReasonForm}, "": {Reason: signup.ReasonForm}, "xn--80ak6aa": {Reason: signup.ReasonForm}, "аcme": {Reason: signup.ReasonForm},
		"äcme": {Reason: signup.ReasonForm}, "a.b": {Reason: signup.ReasonForm}, "a_b": {Reason: signup.ReasonForm},
		"\xff\xfe": {Reason: signup.ReasonForm},
		"-acme":    {Reason: signup.ReasonForm}, "ab--cd": {Reason: signup.ReasonForm}, "a'b": {Reason: signup.ReasonForm},
	} {
		got, err := b.Check(t.Context(), typed)
		require.NoError(t, err, typed)
		require.Equal(t, got.Free(), got.Message == "", typed)
		got.Message = ""
		require.Equal(t, want, got, "%q", typed)
	}
}

func TestBegin_Throttle(t *testing.T) {
	t.Parallel()
	b := setup(t, func(cfg *signup.Config) { cfg.PerAddress, cfg.PerHour = 2, 4 })
	try := func(n int, address string) error {
		_, err := b.Begin(t.Context(), form(fmt.Sprintf("tenant-%d", n)), address)
		return err
	}
	// Many at once from one network count exactly.
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = try(20+7*i, fmt.Sprintf("2001:db8:1:2::%d", i+1)) })
	}
	wg.Wait()
	passed := 0
	for _, err := range errs {
		if err == nil {
			passed++
			continue
		}
		require.Positive(t, requireCode(t, err, apperr.RateLimited).RetryAfter)
	}
	require.Equal(t, 2, passed)
	require.NoError(t, try(2, "2001:db8:1:3::1"), "another network")
	require.NoError(t, try(3, "192.0.2.7"))
	requireCode(t, try(4, "192.0.2.8"), apperr.RateLimited) //nolint:errcheck // All together.
	_, err := b.db.Owner.Exec(t.Context(), "update rowhouse.signups set created_at = created_at - interval '61 minutes'")
	require.NoError(t, err)
	require.NoError(t, try(4, "192.0.2.8"))
	require.NoError(t, try(5, "::ffff:192.0.2.8"))
	requireCode(t, try(6, "192.0.2.8"), apperr.RateLimited) //nolint:errcheck // As above.
}
