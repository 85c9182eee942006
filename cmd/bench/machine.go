package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// machine is where a run took place.
type machine struct {
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"`
	MemoryGB float64 `json:"memory_gb"`
	System   string  `json:"system"`
	Go       string  `json:"go"`
	Postgres string  `json:"postgres"`
	// Settings are those of PostgreSQL that matter here.
	Settings string `json:"postgres_settings"`
	Date     string `json:"date"`
}

func inspectMachine(ctx context.Context, databaseURL string) (machine, error) {
	m := machine{
		CPU: procValue("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: strings.TrimPrefix(runtime.Version(), "go"), Date: time.Now().UTC().Format(time.DateOnly),
	}
	if m.CPU == "" {
		m.CPU = "unknown processor"
	}
	kb, err := strconv.ParseFloat(strings.TrimSuffix(procValue("/proc/meminfo", "MemTotal"), " kB"), 64)
	if err == nil {
		m.MemoryGB = kb / (1 << 20)
	}
	err = withConn(ctx, databaseURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select current_setting('server_version'),
			string_agg(name || ' = ' || current_setting(name), ', ' order by name)
			from unnest(array['autovacuum', 'fsync', 'shared_buffers', 'synchronous_commit', 'jit', 'huge_pages']) as s (name)`).
			Scan(&m.Postgres, &m.Settings)
	})
	if err != nil {
		return m, fmt.Errorf("ask the server about itself: %w", err)
	}
	return m, nil
}

// procValue gives the first value of a key in a file of "key: value" lines, or "".
func procValue(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
