package tenancy_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// Nothing that the package starts outlives what started it.
func TestMain(m *testing.M) { pgtest.Main(m, func() error { return goleak.Find() }) }
