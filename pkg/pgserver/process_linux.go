package pgserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// endWithParent lets the kernel send SIGINT, which PostgreSQL takes for a fast shutdown, when the thread that started the process ends.
// Go sets it after changing the user, which would clear it.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// processesOf gives the ids of PostgreSQL's processes that work in a cluster: a postmaster and its children stay in the cluster's
// directory. dir is its real path. Processes of other users, into whom we cannot look, cannot open our cluster either.
func processesOf(_ context.Context, dir string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		proc := "/proc/" + entry.Name()
		// A process that ends while we look, or has ended and waits for its parent (a zombie), gives an error: it is gone.
		if cwd, err := os.Readlink(filepath.Join(proc, "cwd")); err != nil || cwd != dir {
			continue
		}
		if name, err := os.ReadFile(filepath.Join(proc, "comm")); err == nil && strings.TrimSpace(string(name)) == "postgres" {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
