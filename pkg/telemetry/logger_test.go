package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/telemetry"
)

func TestJSONLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(telemetry.LogConfig{Level: "info", Format: telemetry.FormatJSON, Out: &out})
	require.NoError(t, err)
	log.Debug("not this")
	log.Named("edge").Info("request", zap.Duration("took", 1500*time.Millisecond))
	log.Warn("careful")
	log.Error("broken", zap.Error(errors.New("cause")))
	require.NoError(t, log.Sync())

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	decoded := make([]map[string]any, 3)
	for i, line := range lines {
		require.NoError(t, json.Unmarshal([]byte(line), &decoded[i]))
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, decoded[i]["time"])
	}
	require.Equal(t, "info", decoded[0]["level"])
	require.Equal(t, "edge", decoded[0]["logger"])
	require.Equal(t, "request", decoded[0]["msg"])
	require.InDelta(t, 1.5, decoded[0]["took"], 1e-9)
	require.NotContains(t, decoded[0], "stacktrace")
	require.NotContains(t, decoded[1], "stacktrace")
	require.Equal(t, "cause", decoded[2]["error"])
	require.Contains(t, decoded[2]["stacktrace"], "TestJSONLines")
}

func TestConsoleLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(telemetry.LogConfig{Level: "debug", Format: telemetry.FormatConsole, Out: &out})
	require.NoError(t, err)
	log.Debug("hello", zap.Duration("took", 1500*time.Millisecond))
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\tDEBUG\thello\t\{"took": "1.5s"\}\n$`, out.String())
}

// TestLoggerDefaults: what is no terminal gets JSON, and info is the level.
func TestLoggerDefaults(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	file, err := os.Create(t.TempDir() + "/log")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	for _, cfg := range []telemetry.LogConfig{{Out: &buffer}, {Out: file, Format: telemetry.FormatAuto}} {
		log, err := telemetry.NewLogger(cfg)
		require.NoError(t, err)
		log.Debug("not this")
		log.Info("this")
		require.NoError(t, log.Sync())
	}
	written, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	for _, text := range []string{buffer.String(), string(written)} {
		require.True(t, strings.HasPrefix(text, "{"), text)
		require.Equal(t, 1, strings.Count(text, "\n"))
	}
	_, err = telemetry.NewLogger(telemetry.LogConfig{})
	require.NoError(t, err, "standard error is the default")
}

func TestLoggerRefuses(t *testing.T) {
	t.Parallel()
	_, err := telemetry.NewLogger(telemetry.LogConfig{Level: "loud"})
	require.ErrorContains(t, err, `LogConfig.Level is "loud": want debug, info, warn or error`)
	_, err = telemetry.NewLogger(telemetry.LogConfig{Format: "xml"})
	require.ErrorContains(t, err, `LogConfig.Format is "xml": want auto, json or console`)
}
