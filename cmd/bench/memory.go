package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// backends are a variant's connections as the server's machine sees them.
type backends struct {
	count int
	// maxMB is the memory of the largest in MB, without what it shares; 0 if the server is on another machine or not on Linux.
	maxMB float64
}

// look finds the backends of a variant and reads their memory.
//
// It is RssAnon of /proc/<pid>/status, which anybody may read: pages that belong to no file and no shared memory. Shared buffers are not
// among them; a megabyte or two that the backend has in common with its parent is.
func (p *place) look(ctx context.Context, variant string) (b backends, err error) {
	var pids []int
	err = withConn(ctx, p.DatabaseURL, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `select pid from pg_catalog.pg_stat_activity
			where datname = current_database() and application_name = $1`, applicationName(variant))
		if err != nil {
			return err
		}
		pids, err = pgx.CollectRows(rows, pgx.RowTo[int])
		return err
	})
	if err != nil {
		return b, fmt.Errorf("find backends: %w", err)
	}
	b.count = len(pids)
	for _, pid := range pids {
		mb, ok := anonymous(pid)
		if !ok {
			return backends{count: b.count}, nil
		}
		b.maxMB = max(b.maxMB, mb)
	}
	return b, nil
}

// anonymous gives the process's memory of its own in MB. ok is false if it cannot be read, or is that of another program.
func anonymous(pid int) (mb float64, ok bool) {
	file := "/proc/" + strconv.Itoa(pid) + "/status"
	kb, err := strconv.ParseFloat(strings.TrimSuffix(procValue(file, "RssAnon"), " kB"), 64)
	return kb / 1024, err == nil && strings.HasPrefix(procValue(file, "Name"), "postgres")
}
