package signup_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/signup"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	l := signup.NewLimiter(1e-9, 2)
	allowed := func(address string) (n int) {
		for range 5 {
			if l.Allow(address) {
				n++
			}
		}
		return n
	}
	require.Equal(t, 2, allowed("192.0.2.1"))
	require.Equal(t, 0, allowed("::ffff:192.0.2.1"))
	require.Equal(t, 2, allowed("192.0.2.2"))
	require.Equal(t, 2, allowed("2001:db8::1"))
	require.Equal(t, 0, allowed("2001:db8::ffff"))
	require.Equal(t, 2, allowed("2001:db8:0:1::1"))
	require.Equal(t, 2, allowed("unix"))
	require.Equal(t, 0, allowed("elsewhere"), "what is no address is all one")

	// A flood of addresses takes no more memory, and no more than one client's share.
	passed := 0
	for i := range 20_000 {
		address := fmt.Sprintf("10.%d.%d.1", i/256, i%256)
		if first := l.Allow(address); first && l.Allow(address) {
			passed++
		}
	}
	require.Less(t, passed, 8200)
}
