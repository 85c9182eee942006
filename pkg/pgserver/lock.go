package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
)

// lock is a file held by flock. The kernel lets go of it when the process ends, however it ends.
type lock struct{ file *os.File }

// heldError says that another process, or another Start of this one, has the lock.
type heldError struct {
	path string
	pid  int // 0: it has not said yet.
}

func (e *heldError) Error() string { return fmt.Sprintf("%s is held by %s", e.path, e.by()) }

func (e *heldError) by() string {
	if e.pid == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d", e.pid)
}

// acquire takes the lock and writes our process id into it. It tries for a while, because isHeld takes the lock for a moment.
func acquire(ctx context.Context, path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &lock{file: f}
	for attempt := 1; ; attempt++ {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		if attempt == 10 {
			err = &heldError{path: path, pid: readPID(path)}
			return nil, errors.Join(err, f.Close())
		}
		if err = pause(ctx, 20*time.Millisecond); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// release lets go. The file stays: removing it would let two processes lock two files of one name.
func (l *lock) release() error { return l.file.Close() }

// isHeld reports whether any process has the lock.
func isHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // Nothing was written.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// readPID gives the number on the first line of a file, or 0.
func readPID(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// pause waits for d or the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
