package rowhouse_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func product() rowhouse.Product {
	return rowhouse.Product{
		Name: "ledger", Migrations: migrations.Workspace(), Versions: tenantschema.Versions{Min: 2},
		Open: func(*rowhouse.Platform) (rowhouse.Parts, error) { return rowhouse.Parts{}, nil },
	}
}

func TestProduct_Valid(t *testing.T) {
	t.Parallel()
	good, err := product().Valid()
	require.NoError(t, err)
	require.Equal(t, "ledger", good.Title)
	for says, spoil := range map[string]func(*rowhouse.Product){
		"Name":             func(p *rowhouse.Product) { p.Name = "My Ledger" },
		"Migrations":       func(p *rowhouse.Product) { p.Migrations = nil },
		"Open":             func(p *rowhouse.Product) { p.Open = nil },
		"newest migration": func(p *rowhouse.Product) { p.Versions = tenantschema.Versions{} },
		"a version":        func(p *rowhouse.Product) { p.Versions = tenantschema.Versions{Min: 3, Max: 2} },
		"begin at 10001":   func(p *rowhouse.Product) { p.Migrations = fstest.MapFS{"00011_a.sql": {}} },
	} {
		p := product()
		spoil(&p)
		_, err = p.Valid()
		require.ErrorContains(t, err, says)
	}
}

// processConfig is that of a process that works nothing.
func processConfig(t *testing.T) rowhouse.Config {
	t.Helper()
	cfg, _, err := config.Load(config.LoadOptions{Environ: []string{"ROWHOUSE_DATA_DIR=" + t.TempDir()}})
	require.NoError(t, err)
	metrics, err := telemetry.NewMetrics(telemetry.MetricsConfig{})
	require.NoError(t, err)
	return rowhouse.Config{Config: cfg, Log: zap.NewNop(), Metrics: metrics}
}

// That what Open makes serves and works is shown by examples/invoices and pkg/cli.
func TestOpen(t *testing.T) {
	t.Parallel()
	cfg := processConfig(t)
	p := product()
	p.Open = func(platform *rowhouse.Platform) (rowhouse.Parts, error) {
		_, err := platform.Jobs.Enqueue(t.Context(), nil, nil, job.Opts{})
		require.ErrorContains(t, err, "after Open has returned")
		_, err = platform.Jobs.EnqueueMany(t.Context(), nil, nil, job.Opts{})
		require.ErrorContains(t, err, "after Open has returned")
		require.Nil(t, platform.Webhooks, "it has no events")
		return rowhouse.Parts{}, nil
	}
	house, err := rowhouse.Open(p, cfg)
	require.NoError(t, err)
	require.NotNil(t, house.Queue)

	p.EventKinds = []string{"invoice.paid"}
	p.Open = func(platform *rowhouse.Platform) (rowhouse.Parts, error) {
		require.NotNil(t, platform.Webhooks)
		return rowhouse.Parts{}, errors.New("no paper")
	}
	_, err = rowhouse.Open(p, cfg)
	require.ErrorContains(t, err, "open ledger: no paper")

	cfg.Works = true // Without a way out for mails.
	_, err = rowhouse.Open(product(), cfg)
	require.ErrorContains(t, err, "mail.smtp_url")
}
