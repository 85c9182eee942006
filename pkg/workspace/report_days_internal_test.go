package workspace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Days begin where clocks say so, not where a day has 24 hours.
func TestStartOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, day, start, why string }{
		{"UTC", "2026-11-24", "2026-11-24T00:00:00Z", ""},
		{"Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", "a day of 23 hours"},
		{"Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z", ""},
		{"Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", "a day of 25 hours"},
		{"Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00Z", ""},
		{"Asia/Kathmandu", "2026-11-24", "2026-11-23T18:15:00Z", "quarters of an hour"},
		{"Pacific/Kiritimati", "2026-11-24", "2026-11-23T10:00:00Z", "the first of all"},
		{"Etc/GMT+12", "2026-11-24", "2026-11-24T12:00:00Z", "the last of all"},
		{"Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z", "midnight is not there: the day begins at one"},
		{"America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", "midnight comes twice: the day begins at the first"},
		{"Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", "the day was left out: it begins when the next does"},
		{"Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", ""},
	} {
		zone, err := loadZone(c.zone)
		require.NoError(t, err)
		day, err := ParseDate(c.day)
		require.NoError(t, err)
		require.Equal(t, c.start, startOf(day, zone).UTC().Format(time.RFC3339), "%s in %s: %s", c.day, c.zone, c.why)
	}
}

func TestDaysUntil(t *testing.T) {
	t.Parallel()
	days := daysUntil(NewDate(2026, time.March, 1), 2)
	require.Equal(t, []Date{NewDate(2026, time.February, 28), NewDate(2026, time.March, 1)}, days)
	require.Len(t, bounds(days, time.UTC), 3)
}

func TestZonesHaveNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Local", "Nowhere/Atall", "../../etc/passwd", "/etc/localtime"} {
		_, err := loadZone(name)
		require.Error(t, err, name)
	}
}

func TestDefuse(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"": "", "Attic": "Attic", "a=1": "a=1", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1",
	} {
		require.Equal(t, want, defuse(cell))
	}
}
