package workspace

import (
	"sort"
	"time"
)

// dateOf gives the day that it is at that moment in the zone.
func dateOf(at time.Time, zone *time.Location) Date {
	year, month, day := at.In(zone).Date()
	return NewDate(year, month, day)
}

// startOf gives the first second of the zone's that bears the date. Clocks are changed at midnight in some places, so that midnight is not
// there or comes twice, and a zone may leave out a day: it begins when the next does.
// time.Date does not say what it gives then.
func startOf(d Date, zone *time.Location) time.Time {
	// No zone is, or was, as far as 16 hours from UTC.
	earliest := d.day.Add(-16 * time.Hour)
	second := sort.Search(32*60*60, func(i int) bool {
		return !dateOf(earliest.Add(time.Duration(i)*time.Second), zone).Before(d)
	})
	return earliest.Add(time.Duration(second) * time.Second)
}

// daysUntil gives the last n days, the last of which is d.
func daysUntil(d Date, n int) []Date {
	days := make([]Date, n)
	for i := range days {
		days[i] = d.AddDays(i - n + 1)
	}
	return days
}

// bounds gives when each of the days begins, which follow each other, and when the last one ends.
func bounds(days []Date, zone *time.Location) []time.Time {
	starts := make([]time.Time, 0, len(days)+1)
	for _, d := range days {
		starts = append(starts, startOf(d, zone))
	}
	return append(starts, startOf(days[len(days)-1].AddDays(1), zone))
}
