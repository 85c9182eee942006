package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// The operator makes the first owner of a tenant, and helps those who are locked out. Another tenant's people are others.
func TestUser(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	for _, slug := range []string{"acme", "globex"} {
		h.must("tenant", "create", slug)
	}
	require.Contains(t, h.run("user", "list", "acme").errOut, "user create acme")
	var ada map[string]any
	h.json(&ada, "user", "create", "acme", "--email", "ada@acme.example", "--name", "Ada")
	require.Equal(t, "owner", ada["role"])
	link, isText := ada["reset_link"].(string)
	require.True(t, isText)
	require.True(t, strings.HasPrefix(link, "http://acme.localhost:"), link)
	require.Contains(t, link, "/reset/rr_")
	h.must("user", "create", "acme", "--email", "bob@acme.example", "--name", "Bob", "--role", "member")

	require.Equal(t, 1, h.run("user", "disable", "acme", "ada@acme.example").code, "the last owner stays")
	require.Contains(t, h.must("user", "set-role", "acme", "bob@acme.example", "owner"), "owner")
	require.Contains(t, h.must("user", "disable", "acme", "ADA@acme.example"), "disabled")
	require.Contains(t, h.must("user", "list", "acme"), "disabled")
	require.Contains(t, h.must("user", "enable", "acme", "ada@acme.example"), "unverified")
	require.Contains(t, h.must("user", "reset-link", "acme", "bob@acme.example"), "/reset/rr_")
	h.must("user", "reset-second-factor", "acme", "bob@acme.example")

	require.Equal(t, 3, h.run("user", "disable", "globex", "ada@acme.example").code)
	require.Equal(t, 2, h.run("user", "set-role", "acme", "bob@acme.example", "king").code)
	require.Equal(t, 2, h.run("user", "create", "acme", "--email", "x", "--name", "X").code)
	require.Equal(t, 2, h.run("user", "create", "acme").code)
	require.Equal(t, 1, h.run("user", "create", "acme", "--email", "bob@acme.example", "--name", "Bob").code)
	var users []map[string]any
	h.json(&users, "user", "list", "globex")
	require.Empty(t, users)
}
