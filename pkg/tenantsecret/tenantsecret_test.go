package tenantsecret_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/tenantsecret"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestSealedForOneTenantAndPurpose(t *testing.T) {
	t.Parallel()
	box, err := tenantsecret.New(strings.Repeat("m", 32))
	require.NoError(t, err)
	acme, globex := name(t, "t_acme"), name(t, "t_globex")
	for _, plaintext := range []string{"", "secret", strings.Repeat("x", 10_000)} {
		sealed, err := box.Seal(acme, "totp", []byte(plaintext))
		require.NoError(t, err)
		opened, err := box.Open(acme, "totp", sealed)
		require.NoError(t, err)
		require.Equal(t, plaintext, string(opened))
		again, err := box.Seal(acme, "totp", []byte(plaintext))
		require.NoError(t, err)
		require.NotEqual(t, sealed, again)

		_, err = box.Open(globex, "totp", sealed)
		require.ErrorIs(t, err, tenantsecret.ErrOpen, "another tenant")
		_, err = box.Open(acme, "oidc", sealed)
		require.ErrorIs(t, err, tenantsecret.ErrOpen, "another purpose")
		other, err := tenantsecret.New(strings.Repeat("n", 32))
		require.NoError(t, err)
		_, err = other.Open(acme, "totp", sealed)
		require.ErrorIs(t, err, tenantsecret.ErrOpen, "another master")
		for i := range min(len(sealed), 60) {
			changed := append([]byte(nil), sealed...)
			changed[i] ^= 1
			_, err = box.Open(acme, "totp", changed)
			require.ErrorIs(t, err, tenantsecret.ErrOpen, "byte %d", i)
			_, err = box.Open(acme, "totp", sealed[:i])
			require.ErrorIs(t, err, tenantsecret.ErrOpen, "cut to %d", i)
		}
	}
}

func TestNeedsAMasterAndATenant(t *testing.T) {
	t.Parallel()
	_, err := tenantsecret.New("short")
	require.Error(t, err)
	box, err := tenantsecret.New(strings.Repeat("m", 32))
	require.NoError(t, err)
	_, err = box.Seal(tenantschema.Name{}, "totp", nil)
	require.Error(t, err)
	_, err = box.Open(tenantschema.Name{}, "totp", nil)
	require.Error(t, err)
}

func name(t *testing.T, s string) tenantschema.Name {
	t.Helper()
	n, err := tenantschema.ParseName(s)
	require.NoError(t, err)
	return n
}
