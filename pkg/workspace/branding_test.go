package workspace_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

func TestBranding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	got, err := b.GetBranding(ctx, b.acme)
	require.NoError(t, err)
	require.Zero(t, got)
	want := workspace.Branding{Name: "Acme", Accent: "#8a1c1c"}
	_, err = b.SetBranding(ctx, b.acme, workspace.Branding{Name: " Acme ", Accent: "#8A1C1C"})
	require.NoError(t, err)
	got, err = b.GetBranding(ctx, b.acme)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, accent := range []string{"#ffe100", "red", "#fff", `#000000;}body{`} {
		_, err = b.SetBranding(ctx, b.acme, workspace.Branding{Accent: accent})
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err), accent)
	}
	other, err := b.GetBranding(ctx, b.globex)
	require.NoError(t, err)
	require.Zero(t, other, "what acme chose is nothing to globex")
}

func TestContrast(t *testing.T) {
	t.Parallel()
	for color, want := range map[string]float64{"#ffffff": 1, "#000000": 21, "#767676": 4.54} { // As WCAG's examples have it.
		got, ok := workspace.ContrastWithWhite(color)
		require.True(t, ok)
		require.InDelta(t, want, got, 0.01)
	}
	require.Equal(t, "#ffffff", workspace.LighterUntil("#ffffff", "#1a1e25", 4.5))
	require.NotEqual(t, "#8a1c1c", workspace.LighterUntil("#8a1c1c", "#1a1e25", 4.5))
}
