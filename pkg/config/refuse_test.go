package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	const unknown = "there is no such key"
	for _, test := range []struct{ name, file, want string }{
		{"misspelt key", "server:\n  adr: x\n", "server.adr (file rowhouse.yaml:2): " + unknown + "; did you mean server.addr?"},
		{
			"key out of its section", "request_timeout: 3s\n",
			"request_timeout (file rowhouse.yaml:1): " + unknown + "; did you mean server.request_timeout?",
		},
		{
			"dash for underscore", "server:\n  admin-addr: x\n",
			"server.admin-addr (file rowhouse.yaml:2): " + unknown + "; did you mean server.admin_addr?",
		},
		{"misspelt section", "servers:\n  addr: :1\n", "servers (file rowhouse.yaml:1): " + unknown + "; did you mean server?"},
		{"nothing like it", "colour_of_the_door: red\n", "colour_of_the_door (file rowhouse.yaml:1): " + unknown},
		{"null does not hide it", "server:\n  adr:\n", "server.adr (file rowhouse.yaml:2): " + unknown + "; did you mean server.addr?"},
		{"merge keys are none", "<<: {data_dir: x}\n", "<< (file rowhouse.yaml:1): " + unknown},
		{"twice", "data_dir: a\n\ndata_dir: b\n", "data_dir (file rowhouse.yaml:3): is here a second time; the first is on line 1"},
		{"section as value", "server: :8080\n", "server (file rowhouse.yaml:1): is a section: its keys go below it, indented"},
		{"value as section", "data_dir:\n  path: x\n", "data_dir (file rowhouse.yaml:1): must be one value"},
		{"value as list", "data_dir: [a, b]\n", "data_dir (file rowhouse.yaml:1): must be one value"},
		{"list of lists", "server:\n  trusted_proxies: [[10.0.0.0/8]]\n", "server.trusted_proxies (file rowhouse.yaml:2): must be a list of values"},
		{"a list", "- a\n", "file rowhouse.yaml:1: must hold keys and values, such as data_dir: .rowhouse"},
		{"two documents", "data_dir: a\n---\ndata_dir: b\n", "file rowhouse.yaml: must be one YAML document"},
		{"not YAML", "data_dir: [a\n", "file rowhouse.yaml: is not YAML: line 1: did not find expected ',' or ']'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []string{test.want}, problems(t, layers{file: test.file}))
		})
	}
}

func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"ROWHOUSE_ADDR (environment): there is no such variable; did you mean ROWHOUSE_SERVER_ADDR?",
		"ROWHOUSE_DATABSE_URL (environment): there is no such variable; did you mean ROWHOUSE_DATABASE_URL?",
		"ROWHOUSE_PORT (environment): there is no such variable",
		"ROWHOUSE_XYZZY (environment): there is no such variable",
	}, problems(t, layers{env: []string{
		"HOME=/root", "ROWHOUSE_XYZZY=hunter2", "ROWHOUSE_DATABSE_URL=postgres://u:hunter2@h/d", "ROWHOUSE_ADDR=:1", "ROWHOUSE_PORT=8080",
	}}))

	t.Run("what Kubernetes sets is nobody's mistake", func(t *testing.T) {
		t.Parallel()
		_, _, err := load(t, layers{env: []string{
			"ROWHOUSE_SERVICE_HOST=10.0.0.1", "ROWHOUSE_SERVICE_PORT=80", "ROWHOUSE_SERVICE_PORT_HTTP=80", "ROWHOUSE_PORT=tcp://10.0.0.1:80",
			"ROWHOUSE_PORT_80_TCP=tcp://10.0.0.1:80", "ROWHOUSE_PORT_80_TCP_PROTO=tcp", "ROWHOUSE_PORT_80_TCP_PORT=80",
			"ROWHOUSE_PORT_80_TCP_ADDR=10.0.0.1", "ROWHOUSE_ADMIN_SERVICE_HOST=10.0.0.2", "ROWHOUSE_ADMIN_PORT=tcp://10.0.0.2:90",
		}})
		require.NoError(t, err)
	})
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	const (
		address  = "must be host:port, such as 127.0.0.1:8080, [::1]:8080 or :8080"
		duration = "must be a duration with a unit, such as 500ms, 30s or 720h"
		bytes    = "must be a size in bytes, such as 1MiB, 32KiB or 4096"
		reserved = "must have reserved characters of user and password percent-encoded: @ is %40, / is %2F, ? is %3F"
		workers  = "must be 3 or more: each of the job queue's 3 queues needs a worker of its own"
		prefix   = "must be a letter and up to 30 more letters, digits or underscores, all lower-case"
	)
	for _, test := range []struct{ name, value, message string }{
		{"SERVER_ADDR", "8080", address},
		{"SERVER_ADDR", "::1:8080", address},
		{"SERVER_ADDR", "127.0.0.1:65536", "must end with a port from 0 to 65535, such as 127.0.0.1:8080"},
		{"SERVER_ADDR", "127.0.0.1:http", "must end with a port from 0 to 65535, such as 127.0.0.1:8080"},
		{"SERVER_ADDR", "a b:1", "must begin with a host name or an IP address, such as 127.0.0.1:8080"},
		{"SERVER_ADMIN_ADDR", "127.0.0.1:8080", "must be another address than server.addr: what it shows is not for the public"},
		{"SERVER_BASE_DOMAIN", "localhost:8080", "must be a domain without a port: write localhost; the port belongs to server.addr"},
		{"SERVER_BASE_DOMAIN", "127.0.0.1", "must be a domain, because an IP address has no subdomains: use localhost on your own machine"},
		{"SERVER_TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.1/8 is an address inside a network: write 10.0.0.0/8 for the network"},
		{"SERVER_TRUSTED_PROXIES", "10.0.0.0/8,lb", `must be networks such as 10.0.0.0/8 or addresses such as 192.0.2.7, and "lb" is neither`},
		{"SERVER_READ_TIMEOUT", "30", duration},
		{"SERVER_READ_TIMEOUT", "10s", "must be longer than server.request_timeout (10s)"},
		{"SERVER_WRITE_TIMEOUT", "9s", "must be longer than server.request_timeout (10s)"},
		{"SERVER_READ_HEADER_TIMEOUT", "31s", "must not be longer than server.read_timeout, which includes it (30s)"},
		{"SERVER_IDLE_TIMEOUT", "0s", "must be longer than 0s"},
		{"SERVER_DRAIN_TIME", "-1s", "must not be negative"},
		{"SERVER_MAX_HEADER_BYTES", "1kB", bytes},
		{"SERVER_MAX_BODY_BYTES", "2GiB", "must be between 1KiB and 1GiB"},
		{"SERVER_MAX_BODY_BYTES", "99999999TiB", "is too large a size"},
		{"DATABASE_ROLE_PREFIX", "Rowhouse", prefix},
		{"DATABASE_ROLE_PREFIX", "r\n", prefix},
		{"DATABASE_ROLE_PREFIX", strings.Repeat("a", 32), prefix},
		{"DATABASE_MAX_CONNS", "0", "must be between 1 and 10000"},
		{"DATABASE_MAX_CONNS", "many", "must be a whole number"},
		{"WEBHOOKS_ALLOW_HTTP", "1", "must be true or false"},
		{"WEBHOOKS_KEEP", "24h", "must be between 120h and 87600h"},
		{"DATABASE_CONTROL_CONNS", "1", "must be between 2 and 10000"},
		{"JOBS_WORKERS", "0", workers},
		{"JOBS_WORKERS", "2", workers},
		{"JOBS_WORKERS", "10001", "must be between 3 and 10000"},
		{"JOBS_POLL_INTERVAL", "1us", "must be between 1ms and 1h"},
		{"LOG_LEVEL", "warning", "must be debug, info, warn or error; did you mean warn?"},
		{"LOG_FORMAT", "xml", "must be auto, json or console"},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			t.Parallel()
			variable := "ROWHOUSE_" + test.name
			_, _, err := load(t, layers{env: []string{variable + "=" + test.value}})
			var refused *config.Error
			require.ErrorAs(t, err, &refused)
			require.Len(t, refused.Problems, 1)
			p := refused.Problems[0]
			require.Equal(t, test.message, p.Message)
			require.Equal(t, test.value, p.Value)
			require.Equal(t, "environment "+variable, p.Source.String())
			require.Equal(t, test.name, strings.ToUpper(strings.Replace(p.Key, ".", "_", 1)))
		})
	}
	for _, domain := range []string{
		"http://example.com", "example.com/", "-a.example", "a_b.example", "a..b", ".", "bücher.example", "*.example.com",
		strings.Repeat("a.", 100) + "a", strings.Repeat("a", 64),
	} {
		t.Run("domain "+domain, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, problems(t, layers{flags: []string{"--base-domain", domain}})[0], "must be a domain such as example.com")
		})
	}
	for url, message := range map[string]string{
		"localhost/rowhouse":                  "must begin with postgres://",
		"host=h password=hunter2":             "must begin with postgres://",
		"mysql://u:hunter2@h/d":               "must begin with postgres://",
		"postgres://u:hunter2@h":              "must name a database",
		"postgres://u:hunter2@/d":             "must name a host",
		"postgres://u:hunter2@h/d e":          "must not hold spaces",
		"postgres://u:hunter2@h/d?sslmode=%z": "must hold parameters",
		"postgres://u:hun@hunter2@h/d":        reserved,
		"postgres://u:hun/hunter2@h/d":        reserved,
		"postgres://u:hun?hunter2@h/d":        reserved,
	} {
		t.Run("url "+url, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, layers{env: []string{"ROWHOUSE_DATABASE_URL=" + url}})
			require.ErrorContains(t, err, message)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "hun")
		})
	}
	for _, url := range []string{
		"postgres://h/d", "postgresql://u@h:1/d", "postgres:///d?host=/run/postgresql", "postgres://h1:1,h2:2/d?target_session_attrs=any",
		"postgres://u:%40%2F@[::1]:5432/d", "postgres://h/?dbname=d",
	} {
		t.Run("url "+url, func(t *testing.T) {
			t.Parallel()
			cfg, _, err := load(t, layers{flags: []string{"--database-url", url}})
			require.NoError(t, err)
			require.Equal(t, url, cfg.Database.URL.Reveal())
		})
	}
}

func TestAllProblemsAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, layers{
		file:  "server:\n  adr: x\n  read_timeout: soon\njobs:\n  workers: none\n",
		env:   []string{"ROWHOUSE_DATABASE_LOGIN_SECRET=hunter2", "ROWHOUSE_LOGLEVEL=info"},
		flags: []string{"--addr", "nowhere"},
	})
	require.Error(t, err)
	message := err.Error()
	require.True(t, strings.HasPrefix(message, "configuration: 6 problems\n"), message)
	require.Contains(t, message, "\n  server.addr \"nowhere\" (flag --addr): must be host:port")
	require.Contains(t, message, "\n  database.login_secret \"********\" (environment ROWHOUSE_DATABASE_LOGIN_SECRET): must have 32 characters or more")
	require.Contains(t, message, "did you mean ROWHOUSE_LOG_LEVEL?")
	require.Contains(t, message, "rowhouse.yaml:5): must be a whole number")
	require.NotContains(t, message, "hunter2")
	require.NotContains(t, message, "request_timeout", "no rule about a value that is wrong anyway")
}
