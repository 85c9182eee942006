package jobqueue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimetable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, expression, zone string
		after                  string
		want                   []string // local times with their offsets
	}{
		{
			"a day at a time that is skipped in spring comes as much later", "30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z",
			[]string{"03-28 02:30 +01", "03-29 03:30 +02", "03-30 02:30 +02", "03-31 02:30 +02"},
		},
		{
			"a time that was skipped is still to come after the change", "30 2 * * *", "Europe/Berlin", "2026-03-29T01:10:00Z",
			[]string{"03-29 03:30 +02", "03-30 02:30 +02"},
		},
		{
			"and is over after that", "30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z",
			[]string{"03-30 02:30 +02"},
		},
		{
			"a day at a time that comes twice in autumn comes the first time", "30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z",
			[]string{"10-24 02:30 +02", "10-25 02:30 +02", "10-26 02:30 +01", "10-27 02:30 +01"},
		},
		{
			"not again when it is reckoned in the second of the hours", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z",
			[]string{"10-26 02:30 +01"},
		},
		{
			"an hour goes by the time that passes, in spring", "0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z",
			[]string{"03-29 01:00 +01", "03-29 03:00 +02", "03-29 04:00 +02"},
		},
		{
			"and in autumn", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:10:00Z",
			[]string{"10-25 02:30 +02", "10-25 02:00 +01", "10-25 02:30 +01", "10-25 03:00 +01"},
		},
		{
			"some hours, each once", "0 1-3 * * *", "Europe/Berlin", "2026-10-24T22:30:00Z",
			[]string{"10-25 01:00 +02", "10-25 02:00 +02", "10-25 03:00 +01", "10-26 01:00 +01"},
		},
		{
			"midnight that is skipped", "0 0 * * *", "America/Sao_Paulo", "2018-11-02T12:00:00Z",
			[]string{"11-03 00:00 -03", "11-04 01:00 -02", "11-05 00:00 -02"},
		},
		{
			"a weekly midnight that is skipped", "30 0 * * sun", "America/Sao_Paulo", "2018-10-30T12:00:00Z",
			[]string{"11-04 01:30 -02", "11-11 00:30 -02"},
		},
		{
			"clocks that change by half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00:00Z",
			[]string{"10-03 02:15 +1030", "10-04 02:45 +11", "10-05 02:15 +11"},
		},
		{
			"and back", "45 1 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z",
			[]string{"04-04 01:45 +11", "04-05 01:45 +11", "04-06 01:45 +1030"},
		},
		{
			"a day that is skipped", "0 9 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z",
			[]string{"12-29 09:00 -10", "12-31 09:00 +14", "01-01 09:00 +14"},
		},
		{
			"west of Greenwich", "0 6 * * mon-fri", "America/New_York", "2026-03-06T12:00:00Z",
			[]string{"03-09 06:00 -04", "03-10 06:00 -04"},
		},
		{
			"the first of the month or a Monday, as cron has it", "0 0 1 * mon", "UTC", "2026-06-28T00:00:00Z",
			[]string{"06-29 00:00 +00", "07-01 00:00 +00", "07-06 00:00 +00"},
		},
		{"a leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"02-29 00:00 +00", "02-29 00:00 +00"}},
		{"a name", "@daily", "Asia/Kolkata", "2026-01-01T00:00:00Z", []string{"01-02 00:00 +0530"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			table, err := newTimetable(c.expression, c.zone, 0)
			require.NoError(t, err)
			at, err := time.Parse(time.RFC3339, c.after)
			require.NoError(t, err)
			for _, want := range c.want {
				next := table.next(at)
				require.True(t, next.After(at))
				require.Equal(t, want, strings.TrimSuffix(next.Format("01-02 15:04 -0700"), "00"))
				at = next
			}
		})
	}
}

// Whatever is asked in between, a day's time comes once a day through a whole year, and an hour's once an hour.
func TestTimetableOverAYear(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "America/Havana", "UTC"} {
		for hour := range 4 { // Clocks are changed at night.
			table, err := newTimetable(fmt.Sprintf("30 %d * * *", hour), zone, 90*time.Second)
			require.NoError(t, err)
			at, n := time.Date(2018, 1, 1, 0, 0, 0, 0, table.zone), 0
			seen := map[time.Time]bool{}
			for ; at.Year() == 2018; at = at.Add(47 * time.Minute) {
				if next := table.next(at.Add(table.shift)); !seen[next] && next.Year() == 2018 {
					seen[next] = true
					n++
				}
			}
			require.Equal(t, 365, n, "%s %d:30", zone, hour)
		}
	}
}

func TestParseCronNamesTheField(t *testing.T) {
	t.Parallel()
	for expression, says := range map[string]string{
		"61 * * * *":                  `the minute is "61"`,
		"0 25 * * *":                  `the hour is "25"`,
		"0 6 32 * *":                  `the day of the month is "32"`,
		"0 6 * smarch *":              `the month is "smarch"`,
		"0 6 * * mun":                 `the day of the week is "mun"`,
		"*/0 * * * *":                 `the minute is "*/0"`,
		"* * * *":                     "has 4 fields",
		"0 0 6 * * *":                 "has 6 fields",
		"":                            "has 0 fields",
		"@every 1s":                   "has 2 fields",
		"@reboot":                     "is none of @hourly",
		"TZ=Europe/Berlin 0 6 * *":    "time zone is not part",
		"CRON_TZ=Europe/Berlin @week": "has 2 fields",
		"0 0 30 2 *":                  "never comes",
		"0 6 L * *":                   `the day of the month is "L"`,
	} {
		_, err := parseCron(expression)
		require.ErrorContains(t, err, says, expression)
		if expression != "0 0 30 2 *" {
			require.ErrorContains(t, err, `such as "0 6 * * *"`, expression)
		}
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	const window = 10 * time.Minute
	minutes := map[int]int{}
	for i := range 10_000 {
		id := fmt.Sprintf("%016d", i)
		jitter := jitterOf("report", id, window)
		require.GreaterOrEqual(t, jitter, time.Duration(0))
		require.Less(t, jitter, window)
		require.Equal(t, jitter, jitterOf("report", id, window))
		minutes[int(jitter/time.Minute)]++
	}
	require.Len(t, minutes, 10)
	for minute, n := range minutes {
		require.InDelta(t, 1000, n, 150, "minute %d", minute)
	}
	require.Zero(t, jitterOf("report", "a", 0))
	require.NotEqual(t, jitterOf("report", "a", 24*time.Hour), jitterOf("digest", "a", 24*time.Hour))
}
