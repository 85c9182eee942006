// Command invoices is another product on the platform: customers, invoices, and a reminder by mail when one is overdue. It is there to be read;
// docs/build-your-own.md walks through it.
package main

import (
	"embed"
	"io/fs"
	"os"

	"github.com/rowhousehq/rowhouse/pkg/cli"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func main() { os.Exit(cli.Main(product())) }

//go:embed migrations/*.sql
var files embed.FS

func product() rowhouse.Product {
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // The compiler embedded it.
	}
	return rowhouse.Product{
		Name: "invoices", Title: "Invoices", Migrations: migrations, Versions: tenantschema.Versions{Min: 10002},
		Try: "/api/v1/invoices", Open: open,
	}
}

func open(p *rowhouse.Platform) (rowhouse.Parts, error) {
	s := &service{jobs: p.Jobs, mail: p.Mail}
	return rowhouse.Parts{Routes: s.routes, Workers: s.workers, Demo: s.demo}, nil
}
