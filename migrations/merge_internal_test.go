package migrations

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func dir(texts ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(texts); i += 2 {
		fsys[texts[i]] = &fstest.MapFile{Data: []byte(texts[i+1])}
	}
	return fsys
}

func TestMerge(t *testing.T) {
	t.Parallel()
	platform := dir("00001_people.sql", "people", "00004_jobs.sql", "jobs", "00014_passkeys.sql", "passkeys")
	workspace := dir("00002_tasks.sql", "tasks", "00015_labels.sql", "labels")
	for name, test := range map[string]struct {
		product fs.FS
		want    []string // name and text of each file
		err     string
	}{
		"the workspace shares the platform's numbers": {product: workspace, want: []string{
			"00001_people.sql", "people", "00002_tasks.sql", "tasks", "00004_jobs.sql", "jobs",
			"00014_passkeys.sql", "passkeys", "00015_labels.sql", "labels",
		}},
		"a later file of the platform stands where it was put": {
			product: dir("10001_invoices.sql", "invoices", "10002_platform.sql", "\n-- rowhouse:include 00014_passkeys.sql\n"),
			want: []string{
				"00001_people.sql", "people", "00004_jobs.sql", "jobs", "10001_invoices.sql", "invoices", "10002_platform.sql", "passkeys",
			},
		},
		"one that was given no place is named": {
			product: dir("10001_invoices.sql", ""), err: `00014_passkeys.sql has no place among the product's files: add one with the next number ` +
				`that holds the line "-- rowhouse:include 00014_passkeys.sql"`,
		},
		"a place for what has one": {
			product: dir("10001_a.sql", include+"00014_passkeys.sql", "10002_b.sql", include+"00014_passkeys.sql"), err: "10002_b.sql includes",
		},
		"a place for what is there from the beginning": {product: dir("10001_a.sql", include+"00001_people.sql"), err: "10001_a.sql includes"},
		"a number of the platform's":                   {product: dir("00003_invoices.sql", ""), err: "begin at 10001"},
		"a number that is used twice": {
			product: dir("10001_a.sql", "", "010001_b.sql", "", "10002_c.sql", include+"00014_passkeys.sql"), err: "have the same number",
		},
		"no number": {product: dir("invoices.sql", ""), err: "does not begin with a number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			merged, err := merge(platform, workspace, test.product, 9)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, fstest.TestFS(merged, test.want[0]))
			names, err := fs.Glob(merged, "*.sql")
			require.NoError(t, err)
			var got []string
			for _, name := range names {
				text, err := fs.ReadFile(merged, name)
				require.NoError(t, err)
				got = append(got, name, string(text))
			}
			require.Equal(t, test.want, got)
		})
	}
}

// The platform's files run without the workspace's, and none of theirs speaks of its tables: see also pkg/rowhouse.
func TestWith(t *testing.T) {
	t.Parallel()
	other, err := With(dir("10001_invoices.sql", ""))
	require.NoError(t, err)
	names, err := fs.Glob(other, "*.sql")
	require.NoError(t, err)
	require.NotContains(t, names, "00002_workspace.sql")
	require.Contains(t, names, "00009_people.sql")
	all, err := fs.Glob(Tenant(), "*.sql")
	require.NoError(t, err)
	ours, err := fs.Glob(Workspace(), "*.sql")
	require.NoError(t, err)
	require.Len(t, all, len(names)-1+len(ours))
}
