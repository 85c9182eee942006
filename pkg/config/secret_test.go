package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

// hidden holds a Config where fmt asks it no methods.
type hidden struct{ cfg config.Config }

func TestSecretsDoNotLeak(t *testing.T) {
	t.Parallel()
	const password, login = "hunter2", "correct-horse-battery-staple-0123456789"
	cfg, sources, err := load(t, layers{env: []string{
		"ROWHOUSE_DATABASE_URL=postgres://owner:" + password + "@db.example/rowhouse?sslmode=require&sslpassword=" + password,
		"ROWHOUSE_DATABASE_LOGIN_SECRET=" + login,
		"ROWHOUSE_MAIL_FROM=a@b.example", "ROWHOUSE_MAIL_SMTP_URL=smtp://house:" + password + "@smtp.example",
	}})
	require.NoError(t, err)
	require.Equal(t, password, cfg.Mail.SMTPURL.Password.Reveal())
	require.Equal(t, login, cfg.Database.LoginSecret.Reveal())
	require.Contains(t, cfg.Database.URL.Reveal(), password)

	printed := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%10s"} {
		for name, value := range map[string]any{
			"config": cfg, "pointer": &cfg, "hidden": hidden{cfg}, "hidden pointer": &hidden{cfg}, "list": []config.Config{cfg},
			"secret": cfg.Database.LoginSecret, "url": cfg.Database.URL, "secret pointer": &cfg.Database.LoginSecret,
		} {
			printed[verb+" "+name] = fmt.Sprintf(verb, value)
		}
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal} {
		out, err := marshal(map[string]any{"config": cfg, "entries": config.Entries(cfg, sources)})
		require.NoError(t, err)
		printed[name] = string(out)
	}
	for name, encoder := range map[string]zapcore.Encoder{
		"zap json":    zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		"zap console": zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		var out bytes.Buffer
		log := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel))
		log.Info("cfg", zap.Any("config", cfg), zap.Reflect("db", cfg.Database), zap.Stringer("url", cfg.Database.URL),
			zap.Any("secret", cfg.Database.LoginSecret))
		log.Sugar().Infow("cfg", "config", cfg)
		log.Sugar().Infof("%+v", cfg)
		printed[name] = out.String()
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("cfg", "config", cfg, "secret", cfg.Database.LoginSecret)
	printed["slog"] = out.String()

	for name, text := range printed {
		for _, secret := range []string{password, login, fmt.Sprintf("%x", password), fmt.Sprintf("%x", login)} {
			require.NotContains(t, text, secret, name)
		}
	}
	require.Contains(t, printed["%+v config"], "LoginSecret:********")
	require.Contains(t, printed["%#v config"], "LoginSecret:********")
	require.Contains(t, printed["json"], "postgres://owner:********@db.example/rowhouse?sslmode=require")
	require.Equal(t, "********", printed["%s secret"])
	require.Equal(t, `"********"`, printed["%q secret"])
	require.Equal(t, "postgres://owner:********@db.example/rowhouse?sslmode=require&sslpassword=********", printed["%v url"])
}

func TestNotSetPrintsAsNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, "[] []", fmt.Sprintf("[%v] [%s]", config.Secret{}, config.URL{}))
	require.False(t, config.NewSecret("").IsSet())
	require.False(t, config.NewURL("").IsSet())
	require.Empty(t, config.NewSecret("").Reveal())
	one, other := config.NewSecret("a"), config.NewSecret("a")
	require.Equal(t, one, other, "tests compare configurations")
}

func TestURLRedaction(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"postgres://h/d":                     "postgres://h/d",
		"postgres://h:5432/d":                "postgres://h:5432/d",
		"postgres://h:1,[::1]:2/d":           "postgres://h:1,[::1]:2/d",
		"postgres://u@h/d":                   "postgres://u@h/d",
		"postgres://u:p@h:5432/d?a=b":        "postgres://u:********@h:5432/d?a=b",
		"postgres://u:p@q@h/d":               "postgres://u:********@h/d",
		"postgres://u:p/q@h/d":               "postgres://u:********@h/d",
		"postgres://u:p?q@h/d":               "postgres://u:********@h/d",
		"postgres://u:p#q@h/d":               "postgres://u:********@h/d",
		"postgres://u:secret/d":              "postgres://********",
		"postgres://u:secret":                "postgres://********",
		"postgres://h/d?PASSWORD=p&user=u#x": "postgres://h/d?PASSWORD=********&user=u#x",
		"host=h password=p":                  "********",
		"password":                           "********",
		"u:p@h://x":                          "********",
	} {
		require.Equal(t, want, config.NewURL(raw).String(), raw)
	}
}

// FuzzURLRedaction: whatever is in a password, also raw, it is not shown.
func FuzzURLRedaction(f *testing.F) {
	for _, seed := range []string{"hunter2hunter2", "a@b/c?d#e:f&g=h", "://", "[::1]:80,", "%zz", "password=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, password string) {
		secret := "S3CR" + password + "ET5"
		for _, raw := range []string{
			"postgres://user:" + secret + "@host:5432/db?sslmode=require", "postgres://user:" + secret + "@host/db?application_name=x@y",
		} {
			shown := config.NewURL(raw).String()
			require.NotContains(t, shown, "S3CR")
			require.NotContains(t, shown, "ET5")
			require.True(t, strings.HasPrefix(shown, "postgres://user:"))
		}
	})
}
