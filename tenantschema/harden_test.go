package tenantschema_test

import (
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func hardenRoles(*pgtest.DB) tenantschema.HardenRoles { return tenantschema.HardenRoles{} }
