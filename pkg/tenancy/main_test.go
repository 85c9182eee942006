package tenancy_test

import (
	"testing"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
