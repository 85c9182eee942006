package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Clone gives the URL, with the administrator's credentials, of a copy of a template database. The copy is dropped when the test ends.
//
// The template is what build makes of an empty database, whose URL it is given; it must have closed its connections when it returns. key
// stands for all that it depends on: another key is another template. It is built at most once per server, by whichever test of whichever
// process comes first, and stays there. A build that failed fails every test of this process with that key.
//
// A copy holds what is in the database. It does not have what belongs to a database as a whole: its owner, its grants, its settings.
func Clone(tb testing.TB, key string, build func(ctx context.Context, adminURL string) error) string {
	tb.Helper()
	server, err := shared.url()
	require.NoError(tb, err)
	return cloneOn(tb, server, key, build)
}

// cloneOn is Clone on a server of that URL.
func cloneOn(tb testing.TB, server, key string, build func(ctx context.Context, adminURL string) error) string {
	tb.Helper()
	template, err := shared.template(server+" "+key, func() (string, error) {
		// Not this test's context: others wait for the template too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
		defer cancel()
		return buildTemplateOnce(ctx, server, key, build)
	})
	require.NoError(tb, err)
	return create(tb, server, template)
}

func templateName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return templatePrefix + hex.EncodeToString(sum[:8])
}

// buildTemplateOnce makes the template unless it is there, and gives its name.
func buildTemplateOnce(ctx context.Context, server, key string, build func(context.Context, string) error) (string, error) {
	name := templateName(key)
	err := withConn(ctx, server, func(conn *pgx.Conn) error {
		// Other processes wait here. The lock goes with the connection, so that a crash lets the next one in.
		if _, err := conn.Exec(ctx, "select pg_advisory_lock(hashtextextended($1, 0))", name); err != nil {
			return err
		}
		var complete bool
		err := conn.QueryRow(ctx, "select datistemplate from pg_catalog.pg_database where datname = $1", name).Scan(&complete)
		if complete {
			return nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		// What is there without being marked is what a crash left of an earlier build.
		if _, err = conn.Exec(ctx, "drop database if exists "+name+" with (force)"); err != nil {
			return err
		}
		if _, err = conn.Exec(ctx, "create database "+name+" template template0 strategy file_copy"); err != nil {
			return err
		}
		db, err := withDatabase(server, name)
		if err != nil {
			return err
		}
		if err = build(ctx, db); err != nil {
			return err
		}
		// Complete, and closed: PostgreSQL copies a database only while nobody is connected to it.
		_, err = conn.Exec(ctx, "alter database "+name+" with is_template true allow_connections false")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("building a template database: %w", err)
	}
	return name, nil
}
