package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

const (
	floodRounds  = 5
	floodSeconds = 5
	// floodConns is how many connections acme floods on, each asking again as soon as it has an answer, whatever that says.
	floodConns = 64
	// neighborRate is how many requests a second globex asks, calm or not.
	neighborRate = 80
)

// BenchmarkFlood measures what acme's flood does to globex's 99th percentile. Rounds alternate: globex alone, then globex at the same rate while
// acme floods. The figures are medians over the rounds. "limited" has the standard plan, "open" no limits.
func BenchmarkFlood(b *testing.B) {
	for _, run := range []struct {
		name  string
		plans httpapi.Plans
	}{
		{"limited", onePlan(tenancy.Limits{
			Requests: tenancy.Rate{PerSecond: 200, Burst: 400}, Caller: tenancy.Rate{PerSecond: 100, Burst: 200}, Concurrency: 8,
			StatementTimeout: 8 * time.Second,
		})},
		{"open", nil},
	} {
		b.Run(run.name, func(b *testing.B) {
			e := open(b, func(cfg *httpapi.Config) {
				cfg.Plans = run.plans
				// Lines are made and thrown away: a log in memory would grow with the flood.
				cfg.Log = discarded()
			})
			address := strings.TrimPrefix(e.url, "http://")
			neighbor, flooder := newAsker(b, address, "globex", e.globexKey), func() *asker { return newAsker(b, address, "acme", e.acmeKey) }
			var calm, flooded []time.Duration
			var served, refused atomic.Int64
			for b.Loop() {
				neighbor.atRate(time.Second)
				for range floodRounds {
					calm = append(calm, p99(neighbor.atRate(floodSeconds*time.Second)))
					stop := flood(flooder, &served, &refused)
					flooded = append(flooded, p99(neighbor.atRate(floodSeconds*time.Second)))
					stop()
				}
			}
			slices.Sort(calm)
			slices.Sort(flooded)
			before, after := calm[len(calm)/2], flooded[len(flooded)/2]
			seconds := float64(floodSeconds * len(flooded))
			b.ReportMetric(float64(before.Microseconds())/1000, "calm-p99-ms")
			b.ReportMetric(float64(after.Microseconds())/1000, "flooded-p99-ms")
			b.ReportMetric(float64(after)/float64(before), "ratio")
			b.ReportMetric(float64(served.Load())/seconds, "flood-served/s")
			b.ReportMetric(float64(refused.Load())/seconds, "flood-refused/s")
			b.Logf("calm %v, flooded %v", calm, flooded)
		})
	}
}

// discarded makes lines and throws them away.
func discarded() *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zap.InfoLevel))
}

// flood asks on many connections until it is stopped.
func flood(dial func() *asker, served, refused *atomic.Int64) (stop func()) {
	var wg sync.WaitGroup
	var done atomic.Bool
	for range floodConns {
		a := dial()
		wg.Go(func() {
			defer a.conn.Close() //nolint:errcheck // Nothing is lost.
			for !done.Load() {
				switch status, err := a.ask(); {
				case err != nil:
					return
				case status == http.StatusOK:
					served.Add(1)
				default:
					refused.Add(1)
				}
			}
		})
	}
	return func() {
		done.Store(true)
		wg.Wait()
	}
}

func p99(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)*99/100]
}

// asker asks for the same thing on one connection. It costs next to nothing: it shares the machine with what it measures.
type asker struct {
	tb      testing.TB
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func newAsker(tb testing.TB, address, slug, key string) *asker {
	tb.Helper()
	conn, err := new(net.Dialer).DialContext(tb.Context(), "tcp", address)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	request := fmt.Sprintf("GET /api/v1/projects HTTP/1.1\r\nHost: %s.localhost\r\nAuthorization: Bearer %s\r\n\r\n", slug, key)
	return &asker{tb, conn, bufio.NewReaderSize(conn, 16<<10), []byte(request)}
}

// ask gives the status of the answer.
func (a *asker) ask() (int, error) {
	if _, err := a.conn.Write(a.request); err != nil {
		return 0, err
	}
	status, length := 0, 0
	for first := true; ; first = false {
		line, err := a.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		text := string(line)
		if first {
			_, err = fmt.Sscanf(text, "HTTP/1.1 %d", &status)
		} else if strings.HasPrefix(text, "Content-Length: ") {
			_, err = fmt.Sscanf(text, "Content-Length: %d", &length)
		}
		if err != nil {
			return 0, err
		}
		if text == "\r\n" {
			_, err = a.reader.Discard(length)
			return status, err
		}
	}
}

// atRate asks at the neighbor's rate and gives how long each answer took, from when it was due: a late one delays none from being counted late.
func (a *asker) atRate(d time.Duration) []time.Duration {
	var times []time.Duration
	for due, end := time.Now(), time.Now().Add(d); due.Before(end); due = due.Add(time.Second / neighborRate) {
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait) //nolint:forbidigo // It is the rate.
		}
		status, err := a.ask()
		require.NoError(a.tb, err)
		require.Equal(a.tb, http.StatusOK, status)
		times = append(times, time.Since(due))
	}
	return times
}
