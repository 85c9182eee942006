package isolation_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/isolation"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func signed(t *testing.T, seed byte) ([]byte, isolation.Key) {
	t.Helper()
	key, err := isolation.NewKey(bytes.Repeat([]byte{seed}, 32))
	require.NoError(t, err)
	r := &isolation.Report{
		Format: isolation.Format, Version: "1.2", Database: isolation.Database{Name: "rowhouse", Host: "db"}, Started: time.Unix(0, 0).UTC(),
		Counts:   isolation.Counts{Tenants: 1, Breaches: 1},
		Tenants:  []isolation.TenantResult{{Slug: "acme", Limits: []string{}}},
		Findings: []isolation.Finding{{Tenant: "acme", Finding: tenantschema.Finding{Breach: true, Object: `table <"a&b">`}}},
	}
	text, err := r.Sign(key)
	require.NoError(t, err)
	again, err := r.Sign(key)
	require.NoError(t, err)
	require.Equal(t, text, again)
	return text, key
}

func TestVerify(t *testing.T) {
	t.Parallel()
	text, key := signed(t, 1)
	r, signer, err := isolation.Verify(text)
	require.NoError(t, err)
	require.True(t, signer.Equal(key.Public()))
	require.Equal(t, "acme", r.Breaches()[0].Tenant)
	require.Contains(t, string(text), `"table <\"a&b\">"`, "for people to read")
	parsed, err := isolation.ParsePublicKey(signer.String() + "\n")
	require.NoError(t, err)
	require.Equal(t, signer.ID(), parsed.ID())

	// Whatever byte is changed or taken away, the file is refused.
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		_, _, err = isolation.Verify(changed)
		require.Error(t, err, "byte %d", i)
		_, _, err = isolation.Verify(append(bytes.Clone(text[:i]), text[i+1:]...))
		require.Error(t, err, "without byte %d", i)
	}
	other, _ := signed(t, 2)
	field := func(text []byte, name string) string {
		_, rest, _ := strings.Cut(string(text), `"`+name+`": "`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	for name, changed := range map[string]string{
		"a second report":         strings.Replace(string(text), "\"report\":", "\"report\": {\"counts\": {\"breaches\": 0}},\n\"report\":", 1),
		"a report after it":       strings.TrimSuffix(string(text), "}\n") + ",\n\"Report\": {}}\n",
		"another member":          strings.Replace(string(text), "{", "{\"note\": \"good\", ", 1),
		"white space":             string(text) + "\n",
		"another key's signature": strings.Replace(string(text), field(text, "signature"), field(other, "signature"), 1),
		"another key":             strings.Replace(string(text), field(text, "public_key"), field(other, "public_key"), 1),
		"another key's id":        strings.Replace(string(text), field(text, "key_id"), field(other, "key_id"), 1),
		"another tenant":          strings.Replace(string(text), "acme", "hmse", 1),
		"no signature":            strings.Replace(string(text), field(text, "signature"), "", 1),
	} {
		require.NotEqual(t, string(text), changed, name)
		_, _, err = isolation.Verify([]byte(changed))
		require.Equal(t, apperr.Refused, apperr.CodeOf(err), "%s: %v", name, err)
	}
	for _, no := range []string{"", "hello", "{}", "[]", `{"format": "rowhouse-isolation-report/2"}`} {
		_, _, err = isolation.Verify([]byte(no))
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err), no)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	seed := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	key, err := isolation.ParseKey(seed + "\n")
	require.NoError(t, err)
	require.Len(t, key.Public().ID(), 16)
	for _, bad := range []string{"", "short", seed[:20], seed + seed, "!" + seed[1:]} {
		_, err = isolation.ParseKey(bad)
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err), bad)
		require.NotContains(t, err.Error(), "BwcHBw", "no part of the key")
		_, err = isolation.ParsePublicKey(bad)
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err), bad)
	}
}
