package telemetry

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The formats of log lines.
const (
	// FormatAuto is console on a terminal and json elsewhere.
	FormatAuto = "auto"
	// FormatJSON is one JSON object per line, for machines.
	FormatJSON = "json"
	// FormatConsole is for people.
	FormatConsole = "console"
)

// LogConfig says what is logged, how, and where to.
type LogConfig struct {
	// Level is the least level that is logged: debug, info, warn or error. Default info.
	Level string
	// Format is one of the formats above. Default auto.
	Format string
	// Out is where lines go; writes to it are serialised. Default standard error, because standard output is for data.
	Out io.Writer
}

// NewLogger makes a logger. Times are UTC in ISO 8601; durations are seconds in json. Only lines of level error and above have a stack
// trace. Syncing it does nothing, because lines are written at once.
func NewLogger(cfg LogConfig) (*zap.Logger, error) {
	if cfg.Out == nil {
		cfg.Out = os.Stderr
	}
	level, err := parseLevel(cfg.Level)
	if err != nil {
		return nil, err
	}
	encoder, err := newEncoder(cfg.Format, cfg.Out)
	if err != nil {
		return nil, err
	}
	// Syncing a terminal or a pipe fails, so only the writing of Out is used.
	out := zapcore.Lock(zapcore.AddSync(struct{ io.Writer }{cfg.Out}))
	return zap.New(zapcore.NewCore(encoder, out, level), zap.ErrorOutput(out), zap.AddStacktrace(zap.ErrorLevel)), nil
}

func parseLevel(name string) (zapcore.Level, error) {
	switch name {
	case "debug":
		return zap.DebugLevel, nil
	case "info", "":
		return zap.InfoLevel, nil
	case "warn":
		return zap.WarnLevel, nil
	case "error":
		return zap.ErrorLevel, nil
	}
	return 0, fmt.Errorf("telemetry: LogConfig.Level is %q: want debug, info, warn or error", name)
}

func newEncoder(format string, out io.Writer) (zapcore.Encoder, error) {
	if format == FormatAuto || format == "" {
		format = FormatJSON
		if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
			format = FormatConsole
		}
	}
	cfg := zap.NewProductionEncoderConfig()
	cfg.TimeKey = "time"
	cfg.EncodeTime = func(t time.Time, enc zapcore.PrimitiveArrayEncoder) { zapcore.ISO8601TimeEncoder(t.UTC(), enc) }
	switch format {
	case FormatJSON:
		return zapcore.NewJSONEncoder(cfg), nil
	case FormatConsole:
		cfg.EncodeLevel = zapcore.CapitalLevelEncoder
		cfg.EncodeDuration = zapcore.StringDurationEncoder
		return zapcore.NewConsoleEncoder(cfg), nil
	}
	return nil, fmt.Errorf("telemetry: LogConfig.Format is %q: want auto, json or console", format)
}
