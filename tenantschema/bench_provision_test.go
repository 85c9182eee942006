package tenantschema_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// BenchmarkCreate makes the product's schema, turn by turn: as one text of SQL in one round trip and one transaction (raw), by a session
// (create), and by goose's provider as it comes, which makes neither role nor rights nor seal (goose). Roles are there before; each way
// has a connection of its own, new after a hundred schemas. "x-raw" is the ratio of the medians; "late-x-early" is that of a session's last
// quarter to its first, with all the schemas that have been made between.
func BenchmarkCreate(b *testing.B) {
	ctx := b.Context()
	d := pgtest.New(b)
	cfg, err := d.Logins.Owner()
	require.NoError(b, err)
	p, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: migrations.Tenant()})
	require.NoError(b, err)
	connect := func() *tenantschema.Session {
		s, err := p.Connect(ctx)
		require.NoError(b, err)
		return s
	}
	n := 0
	next := func() tenantschema.Spec {
		n++
		name, err := tenantschema.ParseName(fmt.Sprintf("t_%016d", n))
		require.NoError(b, err)
		_, err = d.Owner.Exec(ctx, "create role "+name.Quote()+" nologin noinherit")
		require.NoError(b, err)
		return tenantschema.Spec{Name: name, Member: d.Logins.Cell(1), Sealed: true}
	}
	b.Cleanup(func() { // Roles belong to the server.
		ctx := context.WithoutCancel(ctx)
		for i := range n {
			name := fmt.Sprintf("t_%016d", i+1)
			_, _ = d.Owner.Exec(ctx, "drop schema if exists "+name+" cascade")
			_, _ = d.Owner.Exec(ctx, "drop role if exists "+name)
		}
	})
	session := connect()
	model := next()
	text, err := session.RawCreation(ctx, model)
	require.NoError(b, err)
	rawConn, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(b, err)
	ways := []struct {
		name string
		make func(tenantschema.Spec) error
		took []time.Duration
	}{
		{name: "raw", make: func(spec tenantschema.Spec) error {
			_, err := rawConn.PgConn().Exec(ctx, strings.ReplaceAll(text, model.Name.String(), spec.Name.String())).ReadAll()
			return err
		}},
		{name: "create", make: func(spec tenantschema.Spec) error { return session.Create(ctx, spec, nil, noRecord) }},
		{name: "goose", make: func(spec tenantschema.Spec) error { return plainGoose(ctx, cfg, spec.Name) }},
	}
	for round := 0; b.Loop(); round++ {
		if round%100 == 99 {
			require.NoError(b, session.Close())
			session = connect()
			require.NoError(b, rawConn.Close(ctx))
			rawConn, err = pgx.ConnectConfig(ctx, cfg)
			require.NoError(b, err)
		}
		for i := range ways {
			spec := next()
			started := time.Now()
			require.NoError(b, ways[(i+round)%len(ways)].make(spec))
			ways[(i+round)%len(ways)].took = append(ways[(i+round)%len(ways)].took, time.Since(started))
		}
	}
	require.NoError(b, session.Close())
	_ = rawConn.Close(ctx) // It has done its part.
	raw := median(ways[0].took)
	for _, way := range ways {
		b.ReportMetric(median(way.took).Seconds()*1000, way.name+"-ms")
		b.ReportMetric(float64(median(way.took))/float64(raw), way.name+"-x-raw")
	}
	if quarter := len(ways[1].took) / 4; quarter > 0 {
		b.ReportMetric(float64(median(ways[1].took[3*quarter:]))/float64(median(ways[1].took[:quarter])), "late-x-early")
	}
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// plainGoose makes a schema as people do who have only goose.
func plainGoose(ctx context.Context, owner *pgx.ConnConfig, name tenantschema.Name) error {
	cfg := owner.Copy()
	cfg.RuntimeParams["search_path"] = name.String()
	connector := stdlib.GetConnector(*cfg)
	db := sql.OpenDB(connector)
	defer db.Close() //nolint:errcheck // Everything is committed by then.
	if _, err := db.ExecContext(ctx, "create schema "+name.Quote()); err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Tenant())
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}
