package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

func TestTenantOrigin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ public, domain, addr, want string }{
		{"", "localhost", "127.0.0.1:8080", "http://acme.localhost:8080"},
		{"", "dev.localhost", ":80", "http://acme.dev.localhost:80"},
		{"", "example.com", ":8080", "https://acme.example.com"},
		{"https://example.com:8443/", "example.com", ":8080", "https://acme.example.com:8443"},
		{"http://example.com", "example.com", ":8080", "http://acme.example.com"},
	} {
		cfg := config.Config{Server: config.Server{PublicURL: c.public, BaseDomain: c.domain, Addr: c.addr}}
		require.Equal(t, c.want, cfg.TenantOrigin("acme"))
	}
}
