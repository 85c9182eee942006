package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
)

// running is a server that serves until stop, which gives what Run returned.
type running struct {
	*httpapi.Server
	addr string
	stop func() error
}

func run(t *testing.T, cfg httpapi.ServerConfig) running {
	t.Helper()
	cfg.Log = zaptest.NewLogger(t)
	s, err := httpapi.NewServer(cfg)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	return running{Server: s, addr: ln.Addr().String(), stop: func() error { cancel(); return <-done }}
}

// TestShutdownUnderLoad: clients hammer on kept connections while the server stops. Every request that reached a handler is answered
// whole, and no client ever sees a connection that it kept break under a request.
func TestShutdownUnderLoad(t *testing.T) {
	t.Parallel()
	const clients = 16
	var handled sync.Map // id of a request that reached the handler
	var beforeStop atomic.Int64
	s := run(t, httpapi.ServerConfig{
		DrainTime: 300 * time.Millisecond,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := r.URL.Query().Get("id")
			handled.Store(id, true)
			beforeStop.Add(1)
			_, _ = io.WriteString(w, "answer to "+id)
		}),
	})
	url := "http://" + s.addr + "/?id="

	var answered sync.Map
	var wg sync.WaitGroup
	var broken, drained atomic.Int64
	for c := range clients {
		wg.Go(func() {
			transport := &http.Transport{MaxIdleConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for n := 0; ; n++ {
				id := strconv.Itoa(c) + "-" + strconv.Itoa(n)
				kept := false
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GotConn: func(info httptrace.GotConnInfo) { kept = info.Reused },
				})
				// A POST with a body that cannot be read twice is not repeated: net/http would otherwise hide a kept connection that
				// breaks under a request, which is exactly what must not happen.
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+id, io.NopCloser(strings.NewReader("x")))
				if err != nil {
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					if kept || errors.Is(err, io.EOF) {
						broken.Add(1)
						t.Logf("request %s: %v", id, err)
					}
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil && string(body) == "answer to "+id {
					answered.Store(id, true)
				}
				if resp.Close {
					drained.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return beforeStop.Load() > 50*clients }, 30*time.Second, time.Millisecond)
	require.False(t, s.Draining())
	require.NoError(t, s.stop())
	require.True(t, s.Draining())
	wg.Wait()

	handled.Range(func(id, _ any) bool {
		_, ok := answered.Load(id)
		require.True(t, ok, "request %s reached the handler and was not answered", id)
		return true
	})
	require.Positive(t, drained.Load(), "answers while draining close their connection")
	// A new connection is refused in the end, or reset if it was still in the system's queue when the listener closed: neither reached
	// the server. A kept one must not break, and none may be closed without an answer.
	require.Zero(t, broken.Load())
}

func TestShutdownAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s := run(t, httpapi.ServerConfig{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		_, _ = io.WriteString(w, "late")
	})})
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + s.addr)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close() //nolint:errcheck // Read to its end.
		body, _ := io.ReadAll(resp.Body)
		got <- string(body)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	require.Eventually(t, s.Draining, 10*time.Second, time.Millisecond)
	close(leave)
	require.Equal(t, "late", <-got)
	require.NoError(t, <-stopped)
}

func TestShutdownGivesUpOnWhoNeverEnds(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := run(t, httpapi.ServerConfig{
		ShutdownTimeout: time.Millisecond,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
		}),
	})
	failed := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + s.addr)
		if err == nil {
			err = resp.Body.Close()
		}
		failed <- err
	}()
	<-entered
	require.ErrorIs(t, s.stop(), context.DeadlineExceeded)
	require.Error(t, <-failed)
}

func TestServerLimits(t *testing.T) {
	t.Parallel()
	s := run(t, httpapi.ServerConfig{
		MaxHeaderBytes: 4 << 10,
		Handler:        http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr, nil)
	require.NoError(t, err)
	req.Header.Set("X-Padding", strings.Repeat("x", 64<<10))
	resp, err := new(http.Client).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	require.NoError(t, s.stop())
}

func TestServerConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := httpapi.ServerConfig{Handler: http.NotFoundHandler(), Log: zaptest.NewLogger(t)}
	for name, spoil := range map[string]func(*httpapi.ServerConfig){
		"no handler":       func(c *httpapi.ServerConfig) { c.Handler = nil },
		"no log":           func(c *httpapi.ServerConfig) { c.Log = nil },
		"negative timeout": func(c *httpapi.ServerConfig) { c.ReadTimeout = -1 },
		"negative drain":   func(c *httpapi.ServerConfig) { c.DrainTime = -1 },
		"negative header":  func(c *httpapi.ServerConfig) { c.MaxHeaderBytes = -1 },
	} {
		cfg := good
		spoil(&cfg)
		_, err := httpapi.NewServer(cfg)
		require.Error(t, err, name)
	}
}
