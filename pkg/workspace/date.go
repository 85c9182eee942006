package workspace

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Date is a day on the calendar, in no time zone. Its text, in JSON too, is like 2026-11-24. The zero Date is 0001-01-01.
type Date struct {
	day time.Time // midnight UTC
}

// NewDate gives the day; parts out of range move on into the next month or year, as in time.Date.
func NewDate(year int, month time.Month, day int) Date {
	return Date{day: time.Date(year, month, day, 0, 0, 0, 0, time.UTC)}
}

// ParseDate reads a date like 2026-11-24, of the years 0001 to 9999.
func ParseDate(text string) (Date, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1 {
		return Date{}, fmt.Errorf("%q is not a date like 2026-11-24", text)
	}
	return Date{day: day}, nil
}

// String gives the date like 2026-11-24.
func (d Date) String() string { return d.day.Format(time.DateOnly) }

// Before reports whether d is an earlier day than other.
func (d Date) Before(other Date) bool { return d.day.Before(other.day) }

// AddDays gives the day that many days later, or earlier if negative.
func (d Date) AddDays(days int) Date { return Date{day: d.day.AddDate(0, 0, days)} }

// valid reports whether the date has a text that ParseDate reads.
func (d Date) valid() bool { return d.day.Year() >= 1 && d.day.Year() <= 9999 }

// MarshalText gives the text of the date.
func (d Date) MarshalText() ([]byte, error) {
	if !d.valid() {
		return nil, errors.New("the year is not between 0001 and 9999")
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads the text of a date.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// DateValue makes pgx send the date as a date.
func (d Date) DateValue() (pgtype.Date, error) { return pgtype.Date{Time: d.day, Valid: true}, nil }

// ScanDate reads a date from pgx. A column that may be null is scanned into a *Date.
func (d *Date) ScanDate(v pgtype.Date) error {
	if !v.Valid || v.InfinityModifier != pgtype.Finite {
		return errors.New("workspace: a date that is null or infinite does not fit a Date")
	}
	*d = Date{day: v.Time.UTC()}
	return nil
}

// dateOr gives the date as a bound of a range, or the infinity that bounds nothing.
func dateOr(d *Date, none pgtype.InfinityModifier) pgtype.Date {
	if d == nil {
		return pgtype.Date{InfinityModifier: none, Valid: true}
	}
	return pgtype.Date{Time: d.day, Valid: true}
}

// In gives the moment when the day begins.
func (d Date) In(zone *time.Location) time.Time {
	return time.Date(d.day.Year(), d.day.Month(), d.day.Day(), 0, 0, 0, 0, zone)
}
