package jobqueue_test

import (
	"os"
	"testing"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

func TestMain(m *testing.M) {
	// A test that kills a worker starts this program again to be one.
	if os.Getenv(victimEnv) != "" {
		os.Exit(victim()) //nolint:forbidigo // This is TestMain.
	}
	pgtest.Main(m)
}
