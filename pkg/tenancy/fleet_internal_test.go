package tenancy

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunOptions_Waves(t *testing.T) {
	t.Parallel()
	share := func(texts ...string) (shares []Share) {
		for _, text := range texts {
			s, err := ParseShare(text)
			require.NoError(t, err)
			shares = append(shares, s)
		}
		return shares
	}
	for _, c := range []struct {
		opts RunOptions
		n    int
		want []int
	}{
		{RunOptions{}, 0, nil},
		{RunOptions{}, 7, []int{7}},
		{RunOptions{Canary: Share{Percent: 1}}, 1000, []int{10, 30, 70, 150, 310, 630, 1000}},
		{RunOptions{Canary: Share{Percent: 1}}, 3, []int{1, 3}},
		{RunOptions{Canary: Share{Percent: 0.1}}, 1, []int{1}},
		{RunOptions{Canary: Share{Count: 50}}, 20, []int{20}},
		{RunOptions{Waves: share("1", "10%", "100%")}, 200, []int{1, 20, 200}},
		{RunOptions{Waves: share("1", "10%")}, 5, []int{1, 5}},
		{RunOptions{Waves: share("5", "10")}, 3, []int{3}},
	} {
		require.Equal(t, c.want, c.opts.waves(c.n), "%+v of %d", c.opts, c.n)
	}
}

func TestParseShare(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"", "0", "-1", "0%", "101%", "1.5", "x", "%", "NaN%", "1 %"} {
		_, err := ParseShare(wrong)
		require.Error(t, err, wrong)
	}
	text, err := json.Marshal(RunOptions{Canary: Share{Percent: 2.5}, Waves: []Share{{Count: 3}}})
	require.NoError(t, err)
	var back RunOptions
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, RunOptions{Canary: Share{Percent: 2.5}, Waves: []Share{{Count: 3}}}, back)
}
