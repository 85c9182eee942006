package migrationlint

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	s := split("-- head\n\n-- +goose NO TRANSACTION\n-- +goose Up\n-- lead\n\nSELECT 1;\nSELECT\n  -- inside;\n  2; -- trailing\nSELECT 3; /* not an end */\n" +
		"SELECT 4;\n-- +goose StatementBegin\nA;\n\nB;\n-- +goose StatementEnd\n-- +goose Down\nDROP x;\n")
	require.Empty(t, s.faults)
	require.True(t, s.noTx)
	require.Equal(t, []piece{
		{text: "SELECT 1;\n", lines: []int{7}, lead: []comment{{5, "-- lead"}}},
		{text: "SELECT\n  -- inside;\n  2; -- trailing\n", lines: []int{8, 9, 10}},
		{text: "SELECT 3; /* not an end */\nSELECT 4;\n", lines: []int{11, 12}},
		{text: "A;\n\nB;\n", lines: []int{14, 15, 16}},
		{text: "DROP x;\n", lines: []int{19}, down: true},
	}, s.pieces)
}

// An annotation counts wherever goose sees it, so that nothing hides behind what only looks like one, or does not.
func TestSplit_Tricks(t *testing.T) {
	t.Parallel()
	s := split("-- +goose Up\nSELECT '\n-- +goose NO TRANSACTION\n';\n/*\n-- +goose Down\n*/\n")
	require.True(t, s.noTx)
	require.Equal(t, "SELECT '\n';\n", s.pieces[0].text)
	require.Equal(t, []int{2, 4}, s.pieces[0].lines)
	require.Len(t, s.faults, 1, "the block comment is no statement that ends")
	require.Equal(t, position{4, 2}, s.pieces[0].at(strings.Index(s.pieces[0].text, ";")))
}

func FuzzSplit(f *testing.F) {
	f.Add("-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n")
	f.Add("-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() AS $$\n;\n$$;\n-- +goose StatementEnd\n")
	f.Add("-- x\r\n\r\n-- +goose Up\r\n \t\r\n-- lint:allow a b\r\nSELECT '\r\n-- +goose ENVSUB ON\r\n;")
	f.Add("-- +goose Up\n/* /* */ ; -- +goose Down\n*/;\n--+goose\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := split(text)
		lines := strings.Split(text, "\n")
		last := 0
		for _, p := range s.pieces {
			require.Len(t, p.lines, strings.Count(p.text, "\n"))
			for i, line := range strings.Split(strings.TrimSuffix(p.text, "\n"), "\n") {
				require.Equal(t, strings.TrimSuffix(lines[p.lines[i]-1], "\r"), line, "each line is one of the file's, at its number")
				require.Greater(t, p.lines[i], last, "and in its order")
				last = p.lines[i]
			}
			for _, offset := range []int{-1, 0, len(p.text) / 2, len(p.text), len(p.text) + 1} {
				at := p.at(offset)
				require.Contains(t, p.lines, at.line)
				require.Positive(t, at.column)
			}
			rest := skipBlank(p.text)
			require.True(t, strings.HasSuffix(p.text, rest))
		}
		for _, fault := range s.faults {
			require.True(t, fault.line >= 1 && fault.line <= len(lines))
		}
	})
}
