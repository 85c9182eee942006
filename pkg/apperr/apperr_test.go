package apperr_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

func TestError(t *testing.T) {
	t.Parallel()
	taken := apperr.Wrap(io.ErrUnexpectedEOF, apperr.Conflict, "the name %q is taken", "acme").WithField("slug", "is taken")
	err := fmt.Errorf("create tenant: %w", taken)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorIs(t, err, &apperr.Error{Code: apperr.Conflict})
	require.NotErrorIs(t, err, &apperr.Error{Code: apperr.Invalid})
	require.NotErrorIs(t, err, &apperr.Error{Code: apperr.Conflict, Message: "another"})
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err))
	require.ErrorContains(t, err, "unexpected EOF")
	e, ok := errors.AsType[*apperr.Error](err)
	require.True(t, ok)
	require.Equal(t, `the name "acme" is taken`, e.Message, "without the cause")
	require.Equal(t, []apperr.Field{{Path: "slug", Message: "is taken"}}, e.Fields)
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, apperr.Code(""), apperr.CodeOf(nil))
	require.Equal(t, apperr.Internal, apperr.CodeOf(io.ErrUnexpectedEOF))
	require.Equal(t, apperr.Partial, apperr.CodeOf(errors.Join(io.ErrUnexpectedEOF, apperr.New(apperr.Partial, "half"))))
}
