package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

func TestFleetDrift(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	require.Contains(t, h.run("fleet", "drift").errOut, "0 tenants compared")
	acme := d.Tenant("acme")
	d.Tenant("globex")
	require.Empty(t, h.must("fleet", "drift"))

	for _, sql := range []string{"alter table %.tasks add column extra integer", "drop index %.tasks_assignee_id_idx"} {
		_, err := d.Owner.Exec(t.Context(), strings.ReplaceAll(sql, "%", acme.Schema.Quote()))
		require.NoError(t, err)
	}
	_, err := d.Owner.Exec(t.Context(), "update rowhouse.tenants set schema_version = 99 where slug = $1", d.Tenant("initech").Slug)
	require.NoError(t, err)
	r := h.run("fleet", "drift", "--workers", "2")
	require.Equal(t, 4, r.code, r.errOut)
	require.Regexp(t, `(?s)^acme \(version 12, sealed, ready\)\n  - index tasks.tasks_assignee_id_idx CREATE INDEX .*\n`+
		`  \+ column tasks.extra integer\n`+
		`initech \(version 99, sealed, ready\)\n  not compared: .*99\n$`, r.out)
	require.Contains(t, r.errOut, "2 tenants compared, 1 have drifted, 1 could not be compared")

	var report struct {
		Compared int `json:"compared"`
		Drifted  int `json:"drifted"`
		Failed   int `json:"failed"`
		Tenants  []struct {
			Slug        string `json:"slug"`
			Differences []struct {
				Object string `json:"object"`
				Want   string `json:"want"`
				Have   string `json:"have"`
			} `json:"differences"`
		} `json:"tenants"`
	}
	r = h.run("fleet", "drift", "acme", "globex", "--output", "json")
	require.Equal(t, 4, r.code, r.errOut)
	require.NoError(t, json.Unmarshal([]byte(r.out), &report), r.out)
	require.Equal(t, []int{2, 1, 0}, []int{report.Compared, report.Drifted, report.Failed})
	require.Len(t, report.Tenants, 1)
	require.Len(t, report.Tenants[0].Differences, 2)
	require.Equal(t, "integer", report.Tenants[0].Differences[1].Have)

	require.Zero(t, h.run("fleet", "drift", "globex").code)
	require.Equal(t, 3, h.run("fleet", "drift", "nobody").code)
	require.Equal(t, 2, h.run("fleet", "drift", "--workers", "0").code)
}
