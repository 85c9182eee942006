// Package migrations holds the SQL that makes Rowhouse's schemas, as goose files.
//
//	control/   the catalog, in schema rowhouse
//	platform/  what the schema of every tenant holds, whatever the product: its people, their keys, jobs, mails, webhooks
//	tenant/    the rest of the schema of a tenant of the product that ships, the workspace
//
// Tenants' files name no schema, since they run in every tenant's. Those of platform and tenant are numbered together, in the order in which
// they were released. Another product's own files begin at 10001; [With] puts them behind the platform's.
//
// Rules for tenants' files: expand, then contract (code runs on the previous version too); every table has a primary key and every
// constraint a name; no enums, domains, functions, triggers, serials or references to other schemas.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed control/*.sql platform/*.sql tenant/*.sql
var files embed.FS

// Control gives the catalog's files.
func Control() fs.FS { return sub("control") }

// Workspace gives the files of the workspace's own tables, for [With].
func Workspace() fs.FS { return sub("tenant") }

// Tenant gives all files of the schema of a tenant of the workspace.
func Tenant() fs.FS {
	all, err := With(Workspace())
	if err != nil {
		panic(err) // Both were embedded by the compiler, and a test has merged them.
	}
	return all
}

func sub(dir string) fs.FS {
	fsys, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // The directory is a constant that the compiler embedded.
	}
	return fsys
}
