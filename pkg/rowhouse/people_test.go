package rowhouse_test

import (
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/pgtest/rowhousetest"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// things is a product that does nothing.
func things() rowhouse.Product {
	const file = "-- +goose Up\nCREATE TABLE things (id uuid NOT NULL, CONSTRAINT things_pkey PRIMARY KEY (id));\n-- +goose Down\nDROP TABLE things;\n"
	return rowhouse.Product{
		Name: "things", Migrations: fstest.MapFS{"10001_things.sql": {Data: []byte(file)}}, Versions: tenantschema.Versions{Min: 10001},
		Open: func(*rowhouse.Platform) (rowhouse.Parts, error) { return rowhouse.Parts{}, nil },
	}
}

func TestMain(m *testing.M) { pgtest.Main(m, func() error { return goleak.Find() }) }

// Somebody is invited: the queue holds no word of it, the mail leads to the tenant, and who follows it is in.
func TestPeopleAreMailed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	street := rowhousetest.Open(t, things())
	acme, globex := street.Tenant("acme"), street.Tenant("globex")
	people := street.House.Identity
	ada := identity.NewUser{Email: "ada@acme.example", DisplayName: "Ada"}
	_, err := people.CreateUser(ctx, acme.Scope, identity.Operator(), ada, identity.RoleOwner)
	require.NoError(t, err)
	_, err = people.Invite(ctx, acme.Scope, identity.Operator(), identity.NewInvitation{Email: "bob@acme.example", Role: identity.RoleMember})
	require.NoError(t, err)
	require.NoError(t, people.ForgotPassword(ctx, acme.Scope, "ada@acme.example"))
	var args string
	require.NoError(t, street.DB.Control.QueryRow(ctx, `SELECT string_agg(args::text, ' ') FROM river.river_job`).Scan(&args))
	require.NotContains(t, args, "@")

	street.Work()
	street.Eventually(func() bool { return len(street.Mails(acme)) == 2 }, "two mails")
	links := map[string]string{}
	for _, m := range street.Mails(acme) {
		link := regexp.MustCompile(`http://acme\.localhost:\d+/(invitations|reset)/(\S+)`).FindStringSubmatch(m.Text)
		require.Len(t, link, 3, m.Text)
		links[link[1]] = link[2]
		require.NotContains(t, args, link[2])
	}
	c := identity.Client{RemoteAddress: "203.0.113.7"}
	const password = "rows of houses, wall to wall"
	_, err = people.AcceptInvitation(ctx, globex.Scope, links["invitations"], identity.AcceptInvitation{DisplayName: "Bob", Password: password}, c)
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
	in, err := people.AcceptInvitation(ctx, acme.Scope, links["invitations"], identity.AcceptInvitation{DisplayName: "Bob", Password: password}, c)
	require.NoError(t, err)
	bob, err := people.AuthenticateSession(ctx, acme.Scope, in.Token)
	require.NoError(t, err)
	_, err = people.BeginTOTP(ctx, acme.Scope, bob)
	require.NoError(t, err, "secrets can be encrypted")
	_, err = people.ResetPassword(ctx, acme.Scope, links["reset"], password, c)
	require.NoError(t, err)
	street.Eventually(func() bool { return len(street.Mails(acme)) == 3 }, "a notice")
	require.Contains(t, street.Mails(acme)[2].Text, "Your password was changed.")
	require.Empty(t, street.Mails(globex))

	_, err = people.NewWelcome(ctx, acme.Scope, bob.UserID)
	require.NoError(t, err)
	_, err = acme.Scope.Exec(ctx, `UPDATE user_tokens SET created_at = created_at - interval '9 days', expires_at = expires_at - interval '9 days'`)
	require.NoError(t, err)
	street.RunSchedule("identity.sweep", acme)
	street.Eventually(func() bool {
		var n int
		require.NoError(t, acme.Scope.QueryRow(ctx, `SELECT count(*) FROM user_tokens`).Scan(&n))
		return n == 0
	}, "what has expired is swept")
}
