package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

// layers is what a test says in each layer.
type layers struct {
	file  string
	env   []string
	flags []string
}

// load loads layers. The file, if there is one, is called rowhouse.yaml in messages.
func load(t *testing.T, in layers) (config.Config, config.Sources, error) {
	t.Helper()
	opts := config.LoadOptions{Environ: in.env, Flags: pflag.NewFlagSet("test", pflag.ContinueOnError)}
	config.BindFlags(opts.Flags, "data_dir", "server.addr", "server.admin_addr", "server.base_domain", "database.url")
	config.BindConfigFlag(opts.Flags)
	require.NoError(t, opts.Flags.Parse(in.flags))
	if in.file != "" {
		opts.Search = []string{filepath.Join(t.TempDir(), "absent.yaml"), writeFile(t, in.file)}
	}
	return config.Load(opts)
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rowhouse.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// problems loads what must fail, and gives the problems in one line each without the file's directory.
func problems(t *testing.T, in layers) []string {
	t.Helper()
	_, _, err := load(t, in)
	var refused *config.Error
	require.ErrorAs(t, err, &refused)
	var lines []string
	for _, p := range refused.Problems {
		lines = append(lines, regexp.MustCompile(`[^ (]*/rowhouse\.yaml`).ReplaceAllString(p.String(), "rowhouse.yaml"))
	}
	return lines
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, sources, err := load(t, layers{})
	require.NoError(t, err)
	require.Equal(t, config.Config{
		DataDir: ".rowhouse",
		Server: config.Server{
			Addr: "127.0.0.1:8080", AdminAddr: "127.0.0.1:9090", BaseDomain: "localhost",
			ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
			RequestTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10, MaxBodyBytes: 1 << 20, MaxImportBytes: 10 << 20, MaxUploadBytes: 25 << 20,
			DrainTime: 500 * time.Millisecond, ShutdownTimeout: 20 * time.Second,
		},
		Database: config.Database{RolePrefix: "rowhouse", MaxConns: 16, ControlConns: 8,
			AcquireTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxRelations: 600, MaxStatements: 768},
		Jobs:     config.Jobs{Workers: 20, PollInterval: 100 * time.Millisecond, ShutdownTimeout: 10 * time.Second},
		Webhooks: config.Webhooks{DisableAfter: 5 * 24 * time.Hour, Keep: 30 * 24 * time.Hour},
		Limits:   config.Limits{AddressPerSecond: 20, AddressBurst: 200, FailuresPerMinute: 60},
		Identity: config.Identity{SessionIdle: 24 * time.Hour, SessionLifetime: 720 * time.Hour, PasswordMemory: 19 * config.MiB},
		Tenants:  config.Tenants{SlugQuarantine: 720 * time.Hour, CellSize: 1000, RoleBlock: 20, LockTimeout: 5 * time.Second},
		Signup:   config.Signup{Enabled: true, PerAddress: 5, PerHour: 200},
		Log:      config.Log{Level: "info", Format: "auto"},
	}, cfg)
	for key, source := range sources {
		require.Equal(t, "default", source.String(), key)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const file = "# first line\nserver:\n  base_domain: file.example\n"
	env, flags := []string{"ROWHOUSE_SERVER_BASE_DOMAIN=env.example"}, []string{"--base-domain", "flag.example"}
	for _, test := range []struct {
		name       string
		in         layers
		want, from string
	}{
		{"nothing", layers{}, "localhost", "default"},
		{"file", layers{file: file}, "file.example", "file rowhouse.yaml:3"},
		{"environment", layers{env: env}, "env.example", "environment ROWHOUSE_SERVER_BASE_DOMAIN"},
		{"flag", layers{flags: flags}, "flag.example", "flag --base-domain"},
		{"file, environment", layers{file: file, env: env}, "env.example", "environment ROWHOUSE_SERVER_BASE_DOMAIN"},
		{"file, flag", layers{file: file, flags: flags}, "flag.example", "flag --base-domain"},
		{"environment, flag", layers{env: env, flags: flags}, "flag.example", "flag --base-domain"},
		{"all", layers{file: file, env: env, flags: flags}, "flag.example", "flag --base-domain"},
		{"flag set to its default", layers{env: env, flags: []string{"--base-domain=localhost"}}, "localhost", "flag --base-domain"},
		{"empty environment", layers{file: file, env: []string{"ROWHOUSE_SERVER_BASE_DOMAIN="}}, "file.example", "file rowhouse.yaml:3"},
		{"file without the value", layers{file: "server:\n  base_domain:\n"}, "localhost", "default"},
		{"file with an empty section", layers{file: "server:\ndata_dir: x\n"}, "localhost", "default"},
		{"file of comments", layers{file: "# nothing\n"}, "localhost", "default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg, sources, err := load(t, test.in)
			require.NoError(t, err)
			require.Equal(t, test.want, cfg.Server.BaseDomain)
			source := sources["server.base_domain"]
			if source.Kind == config.FromFile {
				source.Name = filepath.Base(source.Name)
			}
			require.Equal(t, test.from, source.String())
		})
	}
}

// TestEachKeySetsItsField sets every key in the file and in the environment, and finds it in the field of its name.
func TestEachKeySetsItsField(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"data_dir": "/var/lib/rowhouse", "server.addr": "[::1]:81", "server.admin_addr": "host-1.example:0", "server.base_domain": "example.com",
		"server.trusted_proxies": "10.0.0.0/8,192.0.2.7/32,2001:db8::1/128", "server.read_header_timeout": "1s",
		"server.cors_origins": "https://app.example.com,http://localhost:3000",
		"server.read_timeout": "2m", "server.write_timeout": "3m", "server.idle_timeout": "4h", "server.request_timeout": "1m5s",
		"server.max_header_bytes": "64KiB", "server.max_body_bytes": "5000", "server.max_import_bytes": "7000", "server.max_upload_bytes": "9000",
		"server.drain_time": "0s", "server.shutdown_timeout": "6s",
		"database.url":          "postgres://owner:********@db.example,db2.example:5433/rowhouse?sslmode=require",
		"database.login_secret": "********", "database.role_prefix": "rh2_", "database.max_conns": "7", "database.control_conns": "9",
		"database.pooler_url": "postgres://pooler.example:6432/rowhouse", "database.acquire_timeout": "3s", "database.idle_timeout": "2m",
		"database.max_relations": "1000", "database.max_statements": "100",
		"jobs.workers": "11", "jobs.max_per_tenant": "14", "jobs.poll_interval": "12ms", "jobs.shutdown_timeout": "13s",
		"server.public_url": "https://example.com:8443", "identity.session_idle": "2h", "identity.session_lifetime": "48h",
		"identity.password_memory": "32MiB",
		"webhooks.allow_http":      "true", "webhooks.allow_private": "true", "webhooks.disable_after": "48h", "webhooks.keep": "240h",
		"jobs.ui_password":          "********",
		"limits.address_per_second": "5", "limits.address_burst": "6", "limits.failures_per_minute": "7",
		"tenants.slug_quarantine": "48h30m", "tenants.cell_size": "200", "tenants.role_block": "30",
		"tenants.lock_timeout": "3s", "tenants.statement_timeout": "1m", "log.level": "warn", "log.format": "json",
		"isolation.signing_key": "********", "provisioning.warm": "5",
		"signup.enabled": "false", "signup.per_address": "7", "signup.per_hour": "70",
		"mail.from": `"Acme" <no-reply@example.com>`, "mail.smtp_url": "smtp://house:********@smtp.example:2525?tls=opportunistic",
		"files.dir": "/srv/files",
		"mail.dir":  "", // Excludes mail.smtp_url, and has a test of its own.
	}
	var env []string
	var file strings.Builder
	section := ""
	cfg, sources, err := load(t, layers{})
	require.NoError(t, err)
	for _, e := range config.Entries(cfg, sources) {
		value, ok := values[e.Key]
		require.True(t, ok, "the test has no value for %s", e.Key)
		if value == "" {
			continue
		}
		require.NotEqual(t, e.Default, value)
		require.Equal(t, "ROWHOUSE_"+strings.ToUpper(strings.ReplaceAll(e.Key, ".", "_")), e.Env)
		require.NotEmpty(t, e.Usage)
		value = strings.Replace(value, "********", strings.Repeat("s", 43)+"=", 1)
		env = append(env, e.Env+"="+value)
		in, word, ok := strings.Cut(e.Key, ".")
		switch {
		case !ok:
			fmt.Fprintf(&file, "%s: %q\n", in, value)
			continue
		case in != section:
			section = in
			file.WriteString(in + ":\n")
		}
		fmt.Fprintf(&file, "  %s: %q\n", word, value)
	}
	for name, in := range map[string]layers{"environment": {env: env}, "file": {file: file.String()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, sources, err := load(t, in)
			require.NoError(t, err)
			entries := map[string]string{}
			for _, e := range config.Entries(cfg, sources) {
				entries[e.Key] = e.Value
				if e.Value != "" {
					require.Equal(t, config.SourceKind(name), e.Source.Kind)
				}
			}
			require.Equal(t, values, entries)
			require.Equal(t, []netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::1/128"),
			}, cfg.Server.TrustedProxies)
			require.Equal(t, strings.Repeat("s", 43)+"=", cfg.Database.LoginSecret.Reveal())

			fields := map[string]any{}
			leaves(reflect.ValueOf(cfg), "", fields)
			require.Len(t, fields, len(values))
			for key := range values {
				require.Contains(t, fields, key, "the field of the key's name")
			}
			require.Equal(t, 11, fields["jobs.workers"])
			require.Equal(t, 13*time.Second, fields["jobs.shutdown_timeout"])
			require.Equal(t, config.ByteSize(5000), fields["server.max_body_bytes"])
		})
	}
}

// leaves collects the fields of a Config under the names that their keys should have.
func leaves(v reflect.Value, prefix string, out map[string]any) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		words := regexp.MustCompile(`([a-z])([A-Z])|(SMTP)(URL)|([A-Z])([A-Z][a-z])`)
		name := prefix + strings.ToLower(words.ReplaceAllString(field.Name, "$1$3${5}_$2$4$6"))
		if field.Type.Kind() == reflect.Struct && field.Type.Name() == field.Name && field.Name != "URL" {
			leaves(v.Field(i), name+".", out)
			continue
		}
		out[name] = v.Field(i).Interface()
	}
}

func TestTheFileThatIsRead(t *testing.T) {
	t.Parallel()
	first, second := writeFile(t, "data_dir: first\n"), writeFile(t, "data_dir: second\n")
	absent := filepath.Join(t.TempDir(), "absent.yaml")
	for _, test := range []struct {
		name string
		opts config.LoadOptions
		flag string
		want string
	}{
		{name: "none", want: ".rowhouse"},
		{name: "first of the search", opts: config.LoadOptions{Search: []string{absent, first, second}}, want: "first"},
		{name: "none of the search", opts: config.LoadOptions{Search: []string{absent}}, want: ".rowhouse"},
		{
			name: "environment before search", want: "second",
			opts: config.LoadOptions{Search: []string{first}, Environ: []string{"ROWHOUSE_CONFIG=" + second}},
		},
		{name: "flag before environment", flag: first, opts: config.LoadOptions{Environ: []string{"ROWHOUSE_CONFIG=" + second}}, want: "first"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.flag != "" {
				test.opts.Flags = pflag.NewFlagSet("test", pflag.ContinueOnError)
				config.BindConfigFlag(test.opts.Flags)
				require.NoError(t, test.opts.Flags.Parse([]string{"--config", test.flag}))
			}
			cfg, _, err := config.Load(test.opts)
			require.NoError(t, err)
			require.Equal(t, test.want, cfg.DataDir)
		})
	}
	t.Run("a named file that is absent", func(t *testing.T) {
		t.Parallel()
		_, _, err := config.Load(config.LoadOptions{Environ: []string{"ROWHOUSE_CONFIG=" + absent}})
		require.EqualError(t, err, "configuration: file "+absent+": cannot be read: no such file or directory")
	})
	t.Run("a directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, _, err := config.Load(config.LoadOptions{Search: []string{dir}})
		require.EqualError(t, err, "configuration: file "+dir+": cannot be read: is a directory")
	})
}

func TestFlagsAreTheBoundOnes(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.BindFlags(fs, "server.addr")
	// A command's own flag of the same name as one of ours that it has not bound is the command's own affair.
	fs.String("database-url", "", "")
	require.NoError(t, fs.Parse([]string{"--addr", ":1", "--database-url", "mine"}))
	require.Contains(t, fs.FlagUsages(), "--addr host:port")
	require.Contains(t, fs.FlagUsages(), "(default 127.0.0.1:8080)")
	cfg, _, err := config.Load(config.LoadOptions{Flags: fs})
	require.NoError(t, err)
	require.Equal(t, ":1", cfg.Server.Addr)
	require.False(t, cfg.Database.URL.IsSet())

	require.Panics(t, func() { config.BindFlags(fs, "server.adr") })
	require.Panics(t, func() { config.BindFlags(fs, "database.login_secret") }, "secrets are never given by flags")
}
