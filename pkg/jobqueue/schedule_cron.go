package jobqueue

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

// timetable says when a schedule comes: the times of a cron expression by the clocks of a zone, each put off by the same shift.
//
// The library reads the expression and knows the calendar. What happens when clocks are changed is done here, since of the libraries that
// were tried (netresearch/go-cron, robfig/cron, adhocore/gronx) each skips a day or has it twice in some zone: it is asked for times on a
// clock that is never changed, and those are then looked up in the zone. As with cron(8), a schedule for every hour goes by the time that
// passes. Any other goes by the clock on the wall: a time that is skipped in spring comes as much later as was skipped, and one that
// comes twice in autumn counts the first time.
type timetable struct {
	spec      *cron.SpecSchedule
	everyHour bool
	zone      *time.Location
	shift     time.Duration
}

// cronFields are those of an expression, in their order.
func cronFields() []string {
	return []string{"minute", "hour", "day of the month", "month", "day of the week"}
}

const cronHelp = `an expression has five fields (minute, hour, day of the month, its month, day of the week), ` +
	`such as "0 6 * * *" for each day at 6:00 or "*/15 8-17 * * mon-fri" for each quarter of an hour at work`

// parseCron reads a cron expression. Its errors name the field and give an example; they begin with the expression.
func parseCron(expression string) (*cron.SpecSchedule, error) {
	parser := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom | cron.Descriptor)
	fields := strings.Fields(expression)
	named := len(fields) == 1 && strings.HasPrefix(expression, "@") && fields[0] != "@every"
	if !named && len(fields) != len(cronFields()) {
		return nil, fmt.Errorf("%q has %d fields: %s", expression, len(fields), cronHelp)
	}
	if strings.Contains(expression, "TZ=") {
		return nil, fmt.Errorf("%q: the time zone is not part of the expression: %s", expression, cronHelp)
	}
	parsed, err := parser.Parse(expression)
	if err != nil && named {
		return nil, fmt.Errorf("%q is none of @hourly, @daily, @weekly, @monthly and @yearly: %s", expression, cronHelp)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %s: %s", expression, faultOf(parser, fields, err), cronHelp)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q: %s", expression, cronHelp)
	}
	if spec.Next(time.Now().UTC()).IsZero() {
		return nil, fmt.Errorf("%q never comes: there is no such day", expression)
	}
	return spec, nil
}

// faultOf says which field is at fault, by reading each alone.
func faultOf(parser cron.Parser, fields []string, err error) string {
	for i, name := range cronFields() {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = fields[i]
		if _, fault := parser.Parse(strings.Join(alone, " ")); fault != nil {
			return fmt.Sprintf("the %s is %q: %v", name, fields[i], fault)
		}
	}
	return err.Error()
}

// newTimetable is for an expression that was checked when it was declared or set; the errors are for what was written by other hands.
func newTimetable(expression, zone string, shift time.Duration) (timetable, error) {
	spec, err := parseCron(expression)
	if err != nil {
		return timetable{}, fmt.Errorf("cron expression %w", err)
	}
	if zone == "" || zone == "Local" {
		return timetable{}, errors.New("there is no time zone")
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return timetable{}, err
	}
	const allHours = 1<<24 - 1
	return timetable{spec: spec, everyHour: spec.Hour&allHours == allHours, zone: location, shift: shift}, nil
}

// next gives the first time of the expression whose turn, by the shift later, is after the given time. The zero time means never.
func (t timetable) next(after time.Time) (due time.Time) {
	after = after.Add(-t.shift)
	if t.everyHour {
		return t.byTime(after)
	}
	return t.byClock(after)
}

// byTime goes through the stretches of time between changes of the clocks, in each of which they go right.
func (t timetable) byTime(after time.Time) time.Time {
	local := after.In(t.zone)
	wall := wallOf(local)
	for {
		_, offset := local.Zone()
		_, end := local.ZoneBounds()
		if wall = t.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		at := wall.Add(-time.Duration(offset) * time.Second).In(t.zone)
		if end.IsZero() || at.Before(end) {
			return at
		}
		local = end.In(t.zone)
		wall = wallOf(local).Add(-time.Nanosecond) // What comes at the change itself counts.
	}
}

// byClock looks each time on the wall up.
func (t timetable) byClock(after time.Time) time.Time {
	local := after.In(t.zone)
	wall := wallOf(local)
	// A time that the last change skipped may still be to come. None skips more than a day.
	if change, _ := local.ZoneBounds(); !change.IsZero() && after.Sub(change) < 25*time.Hour {
		wall = wallOf(change.Add(-time.Nanosecond).In(t.zone))
	}
	for {
		if wall = t.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := instant(wall, t.zone); at.After(after) {
			return at
		}
	}
}

// wallOf gives what the clock on the wall shows at t as if it were UTC, where clocks are never changed.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant gives when the clocks of zone first show wall. If they never do, because it was skipped, they are taken not to have been changed yet.
func instant(wall time.Time, zone *time.Location) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	if wallOf(at).Before(wall) { // Skipped, and at is reckoned by the clocks after the change.
		_, offset := at.Zone()
		return wall.Add(-time.Duration(offset) * time.Second).In(zone)
	}
	if change, _ := at.ZoneBounds(); !change.IsZero() {
		_, before := change.Add(-time.Nanosecond).In(zone).Zone()
		if first := wall.Add(-time.Duration(before) * time.Second).In(zone); first.Before(at) && wallOf(first).Equal(wall) {
			return first
		}
	}
	return at
}

// jitterOf gives how much later than its time a tenant's job of a schedule comes: always the same, less than the window, and spread evenly
// over the tenants.
func jitterOf(name, tenantID string, window time.Duration) time.Duration {
	seconds := uint64(max(0, window/time.Second))
	if seconds == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(name + "\x00" + tenantID))
	return time.Duration(binary.BigEndian.Uint64(sum[:])%seconds) * time.Second //nolint:gosec // Less than a day.
}
