package webhook_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
)

func TestCreate_RefusesAddresses(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *webhook.Config) { c.AllowHTTP, c.AllowPrivate = false, false })
	for _, address := range []string{
		"", "hooks", "/hooks", "//example.com/hooks", "mailto:a@example.com", "https:example.com", "https://", "https://:443/", "http://example.com/",
		"ftp://example.com/", "file:///etc/passwd", "https://user@example.com/", "https://user:word@example.com/", "https://example.com/#part",
		"https://example.com:22/", "https://example.com:0/", "https://example.com:99999/", "https://exa mple.com/", "https://example.com/\n",
		"https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[::ffff:127.0.0.1]/",
		"https://[64:ff9b::a00:1]/", "https://[fe80::1%25eth0]/",
	} {
		_, err := b.Create(t.Context(), b.acme, webhook.NewEndpoint{URL: address})
		requireCode(t, err, apperr.Invalid)
		require.ErrorContains(t, err, "cannot be made", address)
	}
	for _, address := range []string{"https://example.com", "https://example.com:8443/hooks?key=1", "https://1.1.1.1/", "https://bücher.example/ä"} {
		_, err := b.Create(t.Context(), b.acme, webhook.NewEndpoint{URL: address})
		require.NoError(t, err, address)
	}
}

// What a name leads to is asked when the connection is made, and an address in the table is no better than its host.
func TestDeliver_RefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *webhook.Config) { c.AllowPrivate = false })
	rec := receive(t, nil)
	at, err := url.Parse(rec.url)
	require.NoError(t, err)
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "2130706433", "0x7f.1", "127.1"} {
		endpoint := b.endpoint(t, b.acme, "http://example.com")
		_, err := b.acme.Exec(t.Context(), `UPDATE webhook_endpoints SET url = $2 WHERE id = $1`, endpoint.ID, "http://"+host+":"+at.Port()+"/")
		require.NoError(t, err)
		requireSnoozed(t, b.Deliver(t.Context(), b.acme, b.publish(t, b.acme, event(t, kindMade))[0]))
		d := b.only(t, b.acme, endpoint.ID)
		require.Contains(t, []string{ // Whether the odd forms of an address are one is up to the resolver.
			"The host leads to an address or port that is not public.", "The name of the host could not be resolved.",
		}, *d.LastError, host)
		if host == "localhost" || host == "127.0.0.1" {
			require.Contains(t, *d.LastError, "not public", host)
		}
		require.NoError(t, b.Delete(t.Context(), b.acme, endpoint.ID))
	}
	require.Empty(t, rec.got())
}

func TestDeliver_NoConnection(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for address, want := range map[string]string{
		"http://127.0.0.1:1/":          "The connection was refused.",
		"http://nowhere.invalid/":      "The name of the host could not be resolved.",
		"https://" + tls(t) + "/hooks": "The certificate of the host is not valid.",
	} {
		endpoint := b.endpoint(t, b.acme, address)
		requireSnoozed(t, b.Deliver(t.Context(), b.acme, b.publish(t, b.acme, event(t, kindMade))[0]))
		require.Equal(t, want, *b.only(t, b.acme, endpoint.ID).LastError, address)
		require.NoError(t, b.Delete(t.Context(), b.acme, endpoint.ID))
	}
}

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	good := webhook.Config{Jobs: &queue{}, Kinds: []string{kindMade}}
	_, err := webhook.New(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*webhook.Config){
		"no jobs":           func(c *webhook.Config) { c.Jobs = nil },
		"no kinds":          func(c *webhook.Config) { c.Kinds = nil },
		"negative time":     func(c *webhook.Config) { c.Timeout = -1 },
		"negative keep":     func(c *webhook.Config) { c.Keep = -1 },
		"negative disabled": func(c *webhook.Config) { c.DisableAfter = -1 },
	} {
		cfg := good
		spoil(&cfg)
		_, err = webhook.New(cfg)
		require.Error(t, err, name)
	}
}
