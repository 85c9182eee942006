package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rowhousehq/rowhouse/pkg/telemetry"
)

// TestPanicInHalfAnAnswer: inside, because no route of ours panics after it has begun to answer.
func TestPanicInHalfAnAnswer(t *testing.T) {
	t.Parallel()
	metrics, err := telemetry.NewMetrics(telemetry.MetricsConfig{})
	require.NoError(t, err)
	core, logs := observer.New(zap.InfoLevel)
	h := &handler{cfg: Config{Metrics: metrics}, log: zap.New(core)}
	e := echo.New()
	e.HTTPErrorHandler = renderError
	e.Pre(h.identify, h.observe)
	e.GET("/half", func(c echo.Context) error {
		if err := c.String(http.StatusOK, "half"); err != nil {
			return err
		}
		panic(errors.New("broken in the middle"))
	})
	rec := httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		e.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/half", nil))
	}, "net/http cuts the connection, so that nobody takes the half for the whole")
	require.Equal(t, "half", rec.Body.String())
	require.Equal(t, 1, logs.Len())
	require.Equal(t, "panic: broken in the middle", logs.All()[0].ContextMap()["error"])
	require.Equal(t, zap.ErrorLevel, logs.All()[0].Level)
}
