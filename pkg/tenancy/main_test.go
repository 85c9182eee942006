package tenancy_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// Nothing that the package starts outlives what started it.
func TestMain(m *testing.M) {
	// A test that kills operators starts this program again to be one.
	if os.Getenv(victimEnv) != "" {
		os.Exit(victim()) //nolint:forbidigo // This is TestMain.
	}
	pgtest.Main(m, func() error { return goleak.Find() })
}
