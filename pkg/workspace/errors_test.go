package workspace

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// Every constraint that guards what a caller chooses has its field. One that is added or renamed must be named in fieldOf too, or here
// as one that only our own mistake can break.
func TestConstraintsHaveFields(t *testing.T) {
	t.Parallel()
	ours := []string{"tasks_created_by_fkey", "tasks_position_check", "tasks_completed_at_check"}
	rows, err := pgtest.New(t).Scope("acme").Query(t.Context(), `SELECT conname, contype::text FROM pg_constraint
WHERE conrelid IN ('projects'::regclass, 'tasks'::regclass) AND contype IN ('c', 'f') ORDER BY conname`)
	require.NoError(t, err)
	constraints, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Type string }])
	require.NoError(t, err)
	require.NotEmpty(t, constraints)

	known := 0
	for _, c := range constraints {
		state := map[string]string{"c": checkViolation, "f": foreignKeyViolation}[c.Type]
		field, ok := fieldOf(state, c.Name)
		if slices.Contains(ours, c.Name) {
			require.False(t, ok, c.Name)
			continue
		}
		require.True(t, ok, c.Name)
		require.Contains(t, c.Name, "_"+field.Path+"_")
		require.NotEmpty(t, field.Message)
		known++
	}
	require.Equal(t, len(constraints)-len(ours), known)
}

func TestFailedKeepsWhatIsMeantForTheCaller(t *testing.T) {
	t.Parallel()
	meant := apperr.New(apperr.Conflict, "Taken.")
	require.Same(t, meant, failed("test", meant))
}
