package tenancy_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func TestSkeleton(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"acme", "acrne", "ac-me", "a-c-r-n-e"}, {"google", "g00gle", "go0g1e", "goog-ie"}, {"web", "vveb", "v-veb"}, {"mill", "m1ll", "rniil", "rn-111"},
	} {
		for _, s := range same[1:] {
			require.Equal(t, tenancy.Skeleton(same[0]), tenancy.Skeleton(s), "%s and %s", same[0], s)
		}
	}
	require.NotEqual(t, tenancy.Skeleton("acme"), tenancy.Skeleton("acne"))
	for _, s := range []string{"www", "vvvvvv", "adm1n", "c0ns0le", "a-p-i", "rnail"} {
		require.True(t, tenancy.LooksReserved(s), s)
	}
	require.False(t, tenancy.LooksReserved("acme"))
}

// The columns of the catalog and the function say the same of every slug.
func TestSkeleton_AsInTheCatalog(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	slugs := []string{"acme", "g00gle", "a-b--c", "rnrn", "wvwv", "10il", "m0rnw1ng-vv"}
	for c := '0'; c <= 'z'; c++ {
		if c <= '9' || c >= 'a' {
			slugs = append(slugs, strings.Repeat(string(c), 3))
		}
	}
	for _, slug := range slugs {
		var got string
		require.NoError(t, d.Owner.QueryRow(t.Context(), `insert into rowhouse.signups
				(id, slug, name, email, display_name, password_hash, welcome_hash, browser_hash, address_hash)
			values (gen_random_uuid(), $1, 'n', 'a@b', 'd', 'h', $2, $2, $2) returning slug_skeleton`, slug, make([]byte, 32)).Scan(&got))
		require.Equal(t, tenancy.Skeleton(slug), got, slug)
		_, err := d.Owner.Exec(t.Context(), "delete from rowhouse.signups")
		require.NoError(t, err)
	}
	acme := d.Tenant("ac-me")
	var got string
	require.NoError(t, d.Control.QueryRow(t.Context(), "select slug_skeleton from rowhouse.tenants where id = $1", acme.ID).Scan(&got))
	require.Equal(t, "acrne", got)
}

// What was made for one request is found by it again, and given to nobody else, whatever the names.
func TestCreate_Request(t *testing.T) {
	t.Parallel()
	for _, warm := range []bool{false, true} {
		d := pgtest.New(t)
		if warm {
			fill(t, d.Manager, 1)
		}
		ask := func(n tenancy.NewTenant) (tenancy.Tenant, bool, error) { return d.Manager.Create(t.Context(), n) }
		mine, other := uuid.NewString(), uuid.NewString()
		first, created, err := ask(tenancy.NewTenant{Slug: "acme", Name: "Acme", Request: mine})
		require.NoError(t, err)
		require.True(t, created)
		again, created, err := ask(tenancy.NewTenant{Slug: "acme", Name: "Acme", Request: mine})
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, first.ID, again.ID)
		_, _, err = ask(tenancy.NewTenant{Slug: "acme", Name: "Acme", Request: other})
		require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "another's request: %v", err)

		d.Tenant("globex") // Of an operator.
		_, _, err = ask(tenancy.NewTenant{Slug: "globex", Request: mine})
		require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "nobody's request: %v", err)
	}
}

// One that an operator has begun to make, and not ended, is not finished for a request.
func TestCreate_RequestTakesNoUnfinishedOne(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	const sql = "insert into rowhouse.tenants (id, slug, name, state) values ('aaaaaaaaaaaaaaaa', 'acme', 'acme', 'provisioning')"
	_, err := d.Owner.Exec(t.Context(), sql)
	require.NoError(t, err)
	_, _, err = d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "acme", Request: uuid.NewString()})
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "%v", err)
}

func TestCreate_Distinct(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	d.Tenant("acme")
	_, _, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "acrne", Distinct: true})
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err))
	require.ErrorContains(t, err, "looks like")
	d.Tenant("ac-me") // Whoever does not ask for it may.

	// Of many that look alike and come at once, one is made.
	var wg sync.WaitGroup
	made := make(chan string, 3)
	for _, slug := range []string{"rnill", "mi1l", "m-ill"} {
		wg.Go(func() {
			if _, created, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: slug, Distinct: true}); err == nil && created {
				made <- slug
			}
		})
	}
	wg.Wait()
	require.Len(t, made, 1)

	// What was deleted keeps those who look like it away, too, as long as its own slug stays unused.
	_, err = d.Manager.Delete(t.Context(), <-made)
	require.NoError(t, err)
	_, _, err = d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "miill", Distinct: true})
	require.NoError(t, err, "another word")
	_, _, err = d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "rn-ill", Distinct: true})
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err))
}
