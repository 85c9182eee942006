package httpapi

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// optional is a query parameter that may be absent, which huma cannot tell from zero. Its fields are huma's to set.
type optional[T any] struct {
	Value T
	Sent  bool
}

// Schema documents the parameter as a plain T.
func (*optional[T]) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[T]())
}

// Receiver is where huma parses the parameter into.
func (o *optional[T]) Receiver() reflect.Value { return reflect.ValueOf(o).Elem().Field(0) }

// OnParamSet is told by huma whether the parameter was there.
func (o *optional[T]) OnParamSet(sent bool, _ any) { o.Sent = sent }

// ptr gives nil for an absent parameter.
func (o *optional[T]) ptr() *T {
	if !o.Sent {
		return nil
	}
	return &o.Value
}

// changed is a field of a merge patch that cannot be emptied. Of such a field huma would take null for absent.
type changed[T any] struct {
	workspace.Optional[T]
}

// Schema documents the field as a plain T.
func (*changed[T]) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[T]())
}

// Resolve refuses null. huma calls it after the body has been read.
func (c *changed[T]) Resolve(_ huma.Context, path *huma.PathBuffer) []error {
	if !c.Null {
		return nil
	}
	return []error{&huma.ErrorDetail{Location: path.String(), Message: "This cannot be null. Leave it out to keep it as it is."}}
}

// ptr gives nil for an absent field.
func (c *changed[T]) ptr() *T {
	if !c.Set {
		return nil
	}
	return &c.Value
}

// nullable is a field of a merge patch that null empties.
type nullable[T any] struct {
	workspace.Optional[T]
}

// Schema documents the field as a T that may be null.
func (*nullable[T]) Schema(r huma.Registry) *huma.Schema {
	s := huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return s
}
