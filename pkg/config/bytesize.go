package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes. It reads and prints in binary units: 32KiB, 1MiB.
type ByteSize int64

// The units.
const (
	KiB ByteSize = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

// units gives the units from large to small. "" and "B" are bytes.
func units() []struct {
	name string
	size ByteSize
} {
	return []struct {
		name string
		size ByteSize
	}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}
}

// ParseByteSize reads a whole number of bytes, or of KiB, MiB, GiB or TiB. Upper and lower case are the same, and a space before the unit is
// allowed. Decimal units (kB, MB) are refused, because people mean different things by them.
func ParseByteSize(s string) (ByteSize, error) {
	digits, unit := s, ByteSize(1)
	for _, u := range units() {
		if cut := len(s) - len(u.name); cut > 0 && strings.EqualFold(s[cut:], u.name) {
			digits, unit = strings.TrimRight(s[:cut], " "), u.size
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	count := ByteSize(n)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && count > math.MaxInt64/unit:
		return 0, errors.New("is too large a size")
	case err != nil:
		return 0, errors.New("must be a size in bytes, such as 1MiB, 32KiB or 4096")
	}
	return count * unit, nil
}

// String gives the size in the largest unit that divides it, plain bytes if none does.
func (b ByteSize) String() string {
	for _, u := range units() {
		if u.size > 1 && b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText gives String.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is ParseByteSize.
func (b *ByteSize) UnmarshalText(raw []byte) error {
	v, err := ParseByteSize(string(raw))
	if err != nil {
		return err
	}
	*b = v
	return nil
}
