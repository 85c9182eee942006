//go:build unix && !linux

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// endWithParent does nothing: only Linux tells a process that its parent ended. The next Start finds what was left running.
func endWithParent(*syscall.SysProcAttr) {}

// processesOf gives the id of the postmaster of a cluster, if it runs: the process in postmaster.pid, if its command line names dir.
func processesOf(ctx context.Context, dir string) ([]int, error) {
	pid := readPID(filepath.Join(dir, pidFile))
	if pid == 0 {
		return nil, nil
	}
	out, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if _, gone := errors.AsType[*exec.ExitError](err); gone {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for process %d: %w", pid, err)
	}
	if command := string(out); strings.Contains(command, "postgres") && strings.Contains(command, dir) {
		return []int{pid}, nil
	}
	return nil, nil
}
