package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest/internal/testserver"
)

// role makes this test binary act as the command under test, or as the command that it runs.
const role = "RUN_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "run":
		os.Exit(run(os.Args[1:]))
	case "ping":
		os.Exit(ping())
	default:
		os.Exit(m.Run())
	}
}

// ping prints the URL that it was given once the server there has answered, and fails with an unusual code.
func ping() int {
	url := os.Getenv(testserver.EnvURL)
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, url, conn.Ping(context.Background()))
	return 7
}

// newRun is the command, with the arguments given and TEST_DATABASE_URL set to url.
func newRun(url string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), role+"=run", testserver.EnvURL+"="+url)
	cmd.Stderr = os.Stderr
	return cmd
}

func exitCodeOf(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return cmd.ProcessState.ExitCode()
}

func TestServerLivesAsLongAsTheCommand(t *testing.T) {
	t.Parallel()
	cmd := newRun("", "--", "env", role+"=ping", os.Args[0])
	var out bytes.Buffer
	cmd.Stdout = &out
	require.Equal(t, 7, exitCodeOf(t, cmd))
	url, pinged, _ := strings.Cut(strings.TrimSpace(out.String()), " ")
	require.Equal(t, "<nil>", pinged)
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestServerThatIsThereIsUsed(t *testing.T) {
	t.Parallel()
	cmd := newRun("postgres://there", "--", "sh", "-c", "echo $"+testserver.EnvURL+"; cat")
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = strings.NewReader("input"), &out
	require.Zero(t, exitCodeOf(t, cmd))
	require.Equal(t, "postgres://there\ninput", out.String())
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for want, args := range map[int][]string{
		0:   {"true"},
		2:   {"--"},
		9:   {"--", "sh", "-c", "exit 9"},
		127: {"--", "no-such-command"},
		137: {"--", "sh", "-c", "kill -KILL $$"},
	} {
		require.Equal(t, want, exitCodeOf(t, newRun("postgres://there", args...)), "%v", args)
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	// The shell's builtin waits for input that never comes, and is interrupted by the signal.
	cmd := newRun("postgres://there", "--", "sh", "-c", `trap "exit 9" TERM; echo ready; read line`)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 9, exit.ExitCode())
	require.Error(t, in.Close(), "Wait has closed it")
}
