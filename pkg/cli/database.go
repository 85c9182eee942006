package cli

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/pgserver"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	// embeddedDatabase is the database of the embedded server.
	embeddedDatabase = "rowhouse"
	// secretFile is where `up` keeps the login secret that it made, in the data directory, and ownerFile where it keeps that of the owner's
	// password: who has the one can serve, who has the other can make roles.
	secretFile = "login_secret"
	ownerFile  = "owner_secret"
)

// findLogins gives the logins of the configured database, or of the embedded server of a running `up`.
func findLogins(cfg config.Config) (*tenancy.Logins, error) {
	secret, err := readSecret(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Database.URL.IsSet() {
		return configuredLogins(cfg, secret)
	}
	state, err := pgserver.Find(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	return embeddedLogins(cfg, state.AdminURL(embeddedDatabase), secret)
}

// readSecret gives the configured login secret, or the one that `up` made, or "".
func readSecret(cfg config.Config) (string, error) {
	if cfg.Database.LoginSecret.IsSet() {
		return cfg.Database.LoginSecret.Reveal(), nil
	}
	return readFile(cfg, secretFile)
}

// readFile gives a secret of the data directory, or "".
func readFile(cfg config.Config, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(cfg.DataDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", apperr.Wrap(err, apperr.Invalid, "%s in %s cannot be read: run this as the user who ran `rowhouse up`", name, cfg.DataDir)
	}
	return strings.TrimSpace(string(text)), nil
}

// makeSecret gives the login secret, making and keeping one if there is none.
func makeSecret(cfg config.Config) (string, error) {
	secret, err := readSecret(cfg)
	if err != nil || secret != "" {
		return secret, err
	}
	return newSecret(cfg, secretFile)
}

// newSecret makes a secret and keeps it in the data directory.
func newSecret(cfg config.Config, name string) (string, error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // crypto/rand never fails: it ends the program instead.
	secret := base64.RawURLEncoding.EncodeToString(raw)
	if err := writeFile(filepath.Join(cfg.DataDir, name), secret+"\n"); err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	return secret, nil
}

// writeFile replaces a file that only its owner may read, whole or not at all.
func writeFile(path, text string) (err error) {
	if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // It is of no use to anybody.
		}
	}()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// embeddedLogins gives the logins of the embedded server. Its owner's password derives from a secret of its own.
func embeddedLogins(cfg config.Config, adminURL, secret string) (*tenancy.Logins, error) {
	u, err := url.Parse(adminURL)
	if err != nil {
		return nil, errors.New("the embedded server's address cannot be read") // The cause holds its password.
	}
	ownerSecret, err := readFile(cfg, ownerFile)
	if err != nil {
		return nil, err
	}
	u.User = url.UserPassword(embeddedOwner(cfg), ownerSecret)
	return tenancy.NewLogins(u.String(), secret, cfg.Database.RolePrefix)
}

func embeddedOwner(cfg config.Config) string { return cfg.Database.RolePrefix + "_owner" }

// prepareEmbedded makes the owner and the database in a fresh embedded server, or brings the owner's password to what it should be.
func prepareEmbedded(ctx context.Context, cfg config.Config, server *pgserver.Server, secret string) (*tenancy.Logins, error) {
	ownerSecret, err := readFile(cfg, ownerFile)
	if err == nil && ownerSecret == "" {
		ownerSecret, err = newSecret(cfg, ownerFile)
	}
	if err != nil {
		return nil, err
	}
	logins, err := embeddedLogins(cfg, server.AdminURL(embeddedDatabase), secret)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, server.AdminURL("postgres"))
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Only used up to here.
	role, err := tenantschema.ParseName(embeddedOwner(cfg))
	if err != nil {
		return nil, fmt.Errorf("database.role_prefix: %w", err)
	}
	verifier, err := tenancy.Verifier(ownerSecret)
	if err != nil {
		return nil, err
	}
	// Looked up first: a statement that fails is written to the server's log.
	var hasRole, hasDatabase bool
	err = conn.QueryRow(ctx, `select exists (select from pg_catalog.pg_roles where rolname = $1),
		exists (select from pg_catalog.pg_database where datname = $2)`, role.String(), embeddedDatabase).Scan(&hasRole, &hasDatabase)
	if err != nil {
		return nil, fmt.Errorf("look into the embedded server: %w", err)
	}
	statements := []string{"alter role " + role.Quote() + " login createrole password '" + verifier + "'"}
	if !hasRole {
		statements = slices.Insert(statements, 0, "create role "+role.Quote())
	}
	if !hasDatabase {
		statements = append(statements, "create database "+embeddedDatabase+" owner "+role.Quote())
	}
	for _, sql := range statements {
		if _, err = conn.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("prepare the embedded server: %w", err)
		}
	}
	return logins, nil
}
