package scaffold_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/scaffold"
)

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	require.NoError(t, err)
	return string(text)
}

// That the skeleton builds, passes its tests and runs is shown in pkg/cli.
func TestNew_Release(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "billing")
	name, err := scaffold.New(scaffold.Options{Dir: dir, Module: "example.com/acme/due-bills", Version: "v1.2.0-rc.1"})
	require.NoError(t, err)
	require.Equal(t, "due-bills", name)
	require.Equal(t, "module example.com/acme/due-bills\n\ngo 1.26.8\n\nrequire github.com/rowhousehq/rowhouse v1.2.0-rc.1\n", read(t, dir, "go.mod"))
	require.NoFileExists(t, filepath.Join(dir, "go.sum"))
	require.Contains(t, read(t, dir, "product.go"), `Name: "due-bills", Title: "Due bills"`)
	require.NotContains(t, read(t, dir, "README.md"), "development build")
	require.Contains(t, read(t, dir, "Dockerfile"), "FROM golang:1.26.8-")
	require.FileExists(t, filepath.Join(dir, ".gitignore"))
	require.FileExists(t, filepath.Join(dir, "migrations", "10001_notes.sql"))
}

// The Go version of the skeleton is the platform's own.
func TestNew_Replace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := scaffold.New(scaffold.Options{Dir: dir, Module: "example.com/acme", Version: "dev", Replace: "../.."})
	require.NoError(t, err)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	mod := read(t, dir, "go.mod")
	require.Contains(t, mod, "\ngo 1.26.8\n")
	require.Contains(t, mod, "replace github.com/rowhousehq/rowhouse => "+root+"\n")
	require.NotContains(t, mod, "uuid v1.6.0 // indirect")
	require.Equal(t, read(t, "../../go.sum"), read(t, dir, "go.sum"))
	require.Contains(t, read(t, dir, "README.md"), "development build")
}

// It can be run again, also after it was cut off, and changes nothing that somebody has changed.
func TestNew_Again(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := scaffold.Options{Dir: dir, Module: "example.com/acme", Version: "v1.2.0"}
	_, err := scaffold.New(o)
	require.NoError(t, err)
	product, mod := filepath.Join(dir, "product.go"), filepath.Join(dir, "go.mod")
	whole := read(t, product)
	require.NoError(t, os.WriteFile(product, []byte(whole[:100]), 0o600))
	require.NoError(t, os.Remove(mod))
	_, err = scaffold.New(o)
	require.NoError(t, err)
	require.Equal(t, whole, read(t, product))

	require.NoError(t, os.WriteFile(product, []byte("package main // ours"), 0o600))
	require.NoError(t, os.Remove(mod))
	_, err = scaffold.New(o)
	require.Equal(t, apperr.Refused, apperr.CodeOf(err), err)
	require.ErrorContains(t, err, "product.go")
	require.NoFileExists(t, mod)
	require.Equal(t, "package main // ours", read(t, product))
}

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	full, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.MkdirAll(filepath.Join(full, "thesis"), 0o700))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, test := range map[string]struct {
		o    scaffold.Options
		code apperr.Code
		says string
	}{
		"no directory":       {scaffold.Options{Version: "v1.0.0"}, apperr.Invalid, "which directory"},
		"a file":             {scaffold.Options{Dir: file, Module: "example.com/acme", Version: "v1.0.0"}, apperr.Invalid, "file"},
		"it is not empty":    {scaffold.Options{Dir: full, Module: "example.com/acme", Version: "v1.0.0"}, apperr.Refused, "thesis"},
		"no module":          {scaffold.Options{Dir: "x", Module: "acme inc", Version: "v1.0.0"}, apperr.Invalid, "example.com/acme"},
		"no domain":          {scaffold.Options{Dir: "x", Module: "acme", Version: "v1.0.0"}, apperr.Invalid, "example.com/acme"},
		"no program":         {scaffold.Options{Dir: "x", Module: "example.com/Acme", Version: "v1.0.0"}, apperr.Invalid, "small letters"},
		"the directory's":    {scaffold.Options{Dir: "../Acme", Version: "v1.0.0"}, apperr.Invalid, "--module"},
		"ours":               {scaffold.Options{Dir: "x", Module: "example.com/rowhouse", Version: "v1.0.0"}, apperr.Invalid, "not rowhouse"},
		"a development one":  {scaffold.Options{Dir: "x", Module: "example.com/acme", Version: "v1.0.0-3-g68a9307"}, apperr.Invalid, "--replace"},
		"nothing to replace": {scaffold.Options{Dir: "x", Module: "example.com/acme", Replace: full}, apperr.Invalid, "go.mod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := scaffold.New(test.o)
			require.Equal(t, test.code, apperr.CodeOf(err), err)
			require.ErrorContains(t, err, test.says)
			require.NoDirExists(t, "x")
		})
	}
}
