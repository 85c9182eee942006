package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block of docs/build-your-own.md that names a file shows what stands in it; a line of "// …" leaves something out.
var shownBlock = regexp.MustCompile("(?s)\n```[a-z]+ (\\S+/\\S+)\n(.*?\n)```\n")

func TestBuildYourOwn(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(repository, "docs", "build-your-own.md"))
	require.NoError(t, err)
	blocks := shownBlock.FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, 9)
	for _, block := range blocks {
		text, err := os.ReadFile(filepath.Join(repository, block[1]))
		require.NoError(t, err)
		rest := string(text)
		for part := range strings.SplitSeq(block[2], "// …\n") {
			_, after, found := strings.Cut(rest, part)
			require.True(t, found, "%s does not hold, or not in this order:\n%s", block[1], part)
			rest = after
		}
	}
}
