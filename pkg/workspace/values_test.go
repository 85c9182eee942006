package workspace_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

func TestOptionalTellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	type patch struct {
		DueOn workspace.Optional[workspace.Date] `json:"due_on,omitzero"`
		Count workspace.Optional[int]            `json:"count,omitzero"`
	}
	for text, want := range map[string]patch{
		`{}`:                      {},
		`{"due_on":null}`:         {DueOn: workspace.Null[workspace.Date]()},
		`{"due_on":"2026-11-24"}`: {DueOn: workspace.Some(workspace.NewDate(2026, time.November, 24))},
		`{"due_on":null,"count":0}`: {
			DueOn: workspace.Null[workspace.Date](), Count: workspace.Some(0),
		},
	} {
		var got patch
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		require.Equal(t, want, got, text)
		back, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, text, string(back))
	}
	var got patch
	require.Error(t, json.Unmarshal([]byte(`{"count":"many"}`), &got))
	require.Error(t, json.Unmarshal([]byte(`{"due_on":"tomorrow"}`), &got))
}

func TestDate(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "2026-2-3", "2026-02-30", "0000-01-01", "2026-11-24T00:00:00Z", "12026-01-01"} {
		_, err := workspace.ParseDate(text)
		require.Error(t, err, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		day := workspace.NewDate(1, time.January, 1).AddDays(rapid.IntRange(0, 3_652_058).Draw(t, "days"))
		back, err := workspace.ParseDate(day.String())
		require.NoError(t, err)
		require.Equal(t, day, back)
	})
	_, err := json.Marshal(workspace.NewDate(10_000, time.January, 1))
	require.Error(t, err)
}
