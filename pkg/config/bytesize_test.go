package config_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

func TestByteSize(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]config.ByteSize{
		"0": 0, "4096": 4 * config.KiB, "1B": 1, "32KiB": 32 << 10, "1 MiB": config.MiB, "2gib": 2 * config.GiB, "1TiB": config.TiB,
		"9223372036854775807": math.MaxInt64, "8388607TiB": 8388607 * config.TiB,
	} {
		got, err := config.ParseByteSize(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{
		"", "B", "KiB", "-1", "+1", "1.5MiB", "1MB", "1kB", "1K", "0x10", "1_000", " 1", "1 ", "1KiB ", "MiB1", "1BB", "1KiBKiB",
		"9223372036854775808", "8388608TiB", "99999999999999999999TiB",
	} {
		_, err := config.ParseByteSize(raw)
		require.Error(t, err, raw)
	}
	for want, size := range map[string]config.ByteSize{
		"0": 0, "1": 1, "1000": 1000, "1KiB": 1024, "1025": 1025, "1MiB": 1 << 20, "1536KiB": 3 << 19, "5GiB": 5 << 30, "1024TiB": 1 << 50,
	} {
		require.Equal(t, want, size.String())
	}
}

func FuzzByteSize(f *testing.F) {
	for _, seed := range []string{"1MiB", "32KiB", "4096", "1 TiB", "9223372036854775807", "8388608TiB", "1.5MiB", "", "-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		size, err := config.ParseByteSize(raw)
		if err != nil {
			require.Zero(t, size)
			return
		}
		require.GreaterOrEqual(t, size, config.ByteSize(0))
		// What it prints, it reads, by every way.
		again, err := config.ParseByteSize(size.String())
		require.NoError(t, err)
		require.Equal(t, size, again)
		encoded, err := json.Marshal(size)
		require.NoError(t, err)
		var decoded config.ByteSize
		require.NoError(t, json.Unmarshal(encoded, &decoded))
		require.Equal(t, size, decoded)
	})
}
