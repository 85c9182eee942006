package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	now := time.Now()
	c := &cli{err: &out}
	p := c.progress("tenants made", 300)
	p.now, p.began, p.shown = func() time.Time { return now }, now, now
	for i := range 200 {
		now = now.Add(time.Second)
		p.step(i%100 == 0)
	}
	p.end()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3, "one a minute")
	require.Contains(t, lines[1], "of 300 tenants made, 1 a second, 3m0s left, 2 failed")

	out.Reset()
	p.live = true
	p.step(false)
	require.Contains(t, out.String(), "[================        ]")
	out.Reset()
	p.step(false)
	require.Empty(t, out.String(), "not five times a second")
	p.end()
	require.True(t, strings.HasSuffix(out.String(), "\x1b[K"))
}
