package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answering gives a client of a server that answers one request as it is told.
func answering(t *testing.T, status, body string) *client {
	t.Helper()
	near, far := net.Pipe()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
			_, _ = far.Write([]byte("HTTP/1.1 " + status + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body))
		}
	}()
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
		<-answered
	})
	return &client{conn: near, in: bufio.NewReader(near)}
}

// TestClient holds the client against the server that it is made for.
func TestClient(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		sent, _ := io.ReadAll(r.Body) // What cannot be read is missed below.
		if size == 0 {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		for range size { // More than 2 kB go out in chunks.
			_, _ = w.Write([]byte("0123456789"))
		}
		_, _ = io.WriteString(w, r.Method+r.Host)
		_, _ = w.Write(sent)
	}))
	t.Cleanup(server.Close)
	c, err := dial(server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.conn.Close() })
	for _, size := range []int{1, 100, 5000, 3, 20000, 1} {
		status, body, err := c.do(http.MethodPost, "/x?size="+strconv.Itoa(size), "acme.localhost", "{sent}")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		want := strings.Repeat("0123456789", size) + "POSTacme.localhost{sent}"
		require.True(t, string(body) == want, "%d bytes are not the %d sent, or not the same", len(body), len(want)) //nolint:testifylint // Long.
	}
	status, body, err := c.do(http.MethodGet, "/", "acme.localhost", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, status)
	require.Empty(t, body)
}
