// Package migrations holds the SQL that makes Rowhouse's schemas, as goose files.
//
//	control/  the catalog, in schema rowhouse
//	tenant/   the schema of one tenant of the product that ships; it names no schema, since it runs in every tenant's
//
// Rules for tenant files: expand, then contract (code runs on the previous version too); every table has a primary key and every
// constraint a name; no enums, domains, functions, triggers, serials or references to other schemas.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed control/*.sql tenant/*.sql
var files embed.FS

// Control gives the catalog's files.
func Control() fs.FS { return sub("control") }

// Tenant gives the files of a tenant's schema.
func Tenant() fs.FS { return sub("tenant") }

func sub(dir string) fs.FS {
	fsys, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // The directory is a constant that the compiler embedded.
	}
	return fsys
}
