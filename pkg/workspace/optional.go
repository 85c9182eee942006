package workspace

import (
	"bytes"
	"encoding/json"
)

// Optional is a field of a patch that may be absent, null or a value. The zero Optional is absent. Fields that cannot be null need
// none: there a pointer tells absent from set.
//
// In JSON an absent field stays absent with the tag omitzero.
type Optional[T any] struct {
	// Set reports whether the field was there at all.
	Set bool
	// Null reports whether it was null. Only with Set.
	Null bool
	// Value is what it was otherwise.
	Value T
}

// Some gives an Optional that is there, with a value.
func Some[T any](v T) Optional[T] { return Optional[T]{Set: true, Value: v} }

// Null gives an Optional that is there and null.
func Null[T any]() Optional[T] { return Optional[T]{Set: true, Null: true} }

// IsZero reports whether o is absent, for the JSON tag omitzero.
func (o Optional[T]) IsZero() bool { return !o.Set }

// UnmarshalJSON is called for fields that are there, null included.
func (o *Optional[T]) UnmarshalJSON(text []byte) error {
	if bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		*o = Null[T]()
		return nil
	}
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*o = Some(v)
	return nil
}

// MarshalJSON gives the value, or null.
func (o Optional[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return json.Marshal(o.Value)
}

// apply gives what a nullable field becomes.
func (o Optional[T]) apply(current *T) *T {
	switch {
	case !o.Set:
		return current
	case o.Null:
		return nil
	default:
		return &o.Value
	}
}
