package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/cache"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

const (
	cacheRounds  = 9
	cacheSeconds = 2
	cacheConns   = 4
)

// BenchmarkKeyCache measures what keeping API keys in memory gains: requests a second that authenticate and list projects, with and without, on the
// same database in alternate rounds. The figures are medians.
func BenchmarkKeyCache(b *testing.B) {
	quiet := func(cfg *httpapi.Config) { cfg.Log = discarded() }
	without := open(b, quiet)
	listen, err := without.db.Logins.As(without.db.Logins.Control())
	require.NoError(b, err)
	hub, err := cache.Open(b.Context(), cache.Config{Listen: listen, Log: zap.NewNop()})
	require.NoError(b, err)
	b.Cleanup(hub.Close)
	keys, err := identity.New(identity.Config{Cache: hub})
	require.NoError(b, err)
	with := without.again(func(cfg *httpapi.Config) {
		quiet(cfg)
		cfg.Keys = keys
	})
	var plain, cached []float64
	for b.Loop() {
		for range cacheRounds {
			plain = append(plain, perSecond(b, without.url, without.acmeKey))
			cached = append(cached, perSecond(b, with, without.acmeKey))
		}
	}
	slices.Sort(plain)
	slices.Sort(cached)
	before, after := plain[len(plain)/2], cached[len(cached)/2]
	b.ReportMetric(before, "without/s")
	b.ReportMetric(after, "with/s")
	b.ReportMetric(after/before, "ratio")
}

// perSecond asks on a few connections for a while.
func perSecond(b *testing.B, url, key string) float64 {
	b.Helper()
	done := make(chan int, cacheConns)
	end := time.Now().Add(cacheSeconds * time.Second)
	for range cacheConns {
		a := newAsker(b, strings.TrimPrefix(url, "http://"), "acme", key)
		go func() {
			n := 0
			for time.Now().Before(end) {
				if status, err := a.ask(); err != nil || status != http.StatusOK {
					break
				}
				n++
			}
			_ = a.conn.Close()
			done <- n
		}()
	}
	total := 0
	for range cacheConns {
		total += <-done
	}
	return float64(total) / cacheSeconds
}
