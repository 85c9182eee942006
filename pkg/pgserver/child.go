package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// How long a server that is to end at once may take before it is killed. It gives its own children five seconds.
const abortAfter = 10 * time.Second

// errEnded says that the server ended while it was to start.
var errEnded = errors.New("postgres ended while starting")

// child is a postmaster that we started.
type child struct {
	process *os.Process
	asked   atomic.Bool   // We asked it to end.
	done    chan struct{} // Closed when it has ended.
	err     error         // How it ended. Valid when done is closed.
}

// startChild starts cmd, which must not be bound to a context that ends.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel reports the end of the thread that made the child, not of the process: keep the thread as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		endWithParent(cmd.SysProcAttr)
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	c.process = cmd.Process
	return c, nil
}

func (c *child) pid() int { return c.process.Pid }

// endedItself reports whether the child has ended without being asked to.
func (c *child) endedItself() bool {
	select {
	case <-c.done:
		return !c.asked.Load()
	default:
		return false
	}
}

// ready waits until the server accepts connections. It gives errEnded when the child ends instead, and PostgreSQL's own error when it
// refuses the administrator.
func (c *child) ready(ctx context.Context, url string) error {
	for {
		connectCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		conn, err := pgx.Connect(connectCtx, url)
		cancel()
		if err == nil {
			return conn.Close(ctx)
		}
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(pgErr.Code, "28") {
			return err
		}
		timer := time.NewTimer(25 * time.Millisecond)
		select {
		case <-c.done:
			timer.Stop()
			return errEnded
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// end asks the server to end in order, and makes it end when ctx does. It returns when the server is gone.
func (c *child) end(ctx context.Context) error {
	c.asked.Store(true)
	if err := c.signal(syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("postgres was stopped at once and will recover when it starts: %w", ctx.Err()), c.abort())
	}
}

// abort makes the server end without tidying up: the next start recovers. It returns when the server is gone.
func (c *child) abort() error {
	select {
	case <-c.done:
		return nil
	default:
	}
	c.asked.Store(true)
	if err := c.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	timer := time.NewTimer(abortAfter)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
	}
	err := c.signal(syscall.SIGKILL)
	<-c.done
	return err
}

func (c *child) signal(sig syscall.Signal) error {
	if err := c.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping postgres (process %d): %w", c.process.Pid, err)
	}
	return nil
}

// programError is a program that failed.
type programError struct {
	err    error
	output string
}

func (e *programError) Error() string { return fmt.Sprintf("%v\n%s", e.err, lastLines(e.output, 8)) }

func (e *programError) Unwrap() error { return e.err }

// complaint is what the program said last, on one line.
func complaint(err error) string {
	if e, ok := errors.AsType[*programError](err); ok && strings.TrimSpace(e.output) != "" {
		return lastLines(e.output, 1)
	}
	return err.Error()
}

// runProgram runs one of PostgreSQL's programs to its end. The error is a *programError.
func runProgram(cmd *exec.Cmd) error {
	runtime.LockOSThread() // As in startChild.
	defer runtime.UnlockOSThread()
	endWithParent(cmd.SysProcAttr)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = abortAfter
	out, err := cmd.CombinedOutput()
	if err != nil {
		return &programError{err: fmt.Errorf("%s: %w", cmd.Path, err), output: string(out)}
	}
	return nil
}

// lastLines gives the end of what a program printed.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
