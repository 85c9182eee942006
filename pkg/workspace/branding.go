package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Branding is how a tenant wants its pages to look. The zero Branding is the product's own look.
type Branding struct {
	// Name stands on the pages instead of the tenant's name. At most 60 characters.
	Name string `json:"name,omitempty"`
	// Accent is a colour like #2f5bd0, on which white text can be read: its contrast is at least [MinContrast].
	Accent string `json:"accent,omitempty"`
}

// MinContrast is what WCAG AA asks for between a text and what it stands on.
const MinContrast = 4.5

const (
	maxBrandName = 60
	brandingKey  = "branding"
)

// GetBranding gives what the tenant has chosen.
func (s *Service) GetBranding(ctx context.Context, scope tenantschema.Scope) (Branding, error) {
	var text []byte
	err := scope.QueryRow(ctx, `SELECT value FROM settings WHERE key = $1`, brandingKey).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return Branding{}, nil
	}
	var b Branding
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return Branding{}, failed("get branding", err)
	}
	return b, nil
}

// SetBranding chooses the look, and gives it as it is then. The error is apperr.Invalid if the colour is none, or is too light.
func (s *Service) SetBranding(ctx context.Context, scope tenantschema.Scope, b Branding) (Branding, error) {
	var check checker
	if b.Name = strings.TrimSpace(b.Name); b.Name != "" {
		b.Name = check.line("name", b.Name, maxBrandName)
	}
	if b.Accent = strings.ToLower(strings.TrimSpace(b.Accent)); b.Accent != "" {
		switch contrast, ok := ContrastWithWhite(b.Accent); {
		case !ok:
			check.add("accent", "Give a colour like #2f5bd0.")
		case contrast < MinContrast:
			check.add("accent", "White text on this colour has a contrast of %.1f : 1. Choose a darker one, with at least %.1f : 1.", contrast, MinContrast)
		}
	}
	if err := check.err("The branding was not changed."); err != nil {
		return Branding{}, err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return Branding{}, failed("set branding", err)
	}
	const sql = `INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
	if _, err = scope.Exec(ctx, sql, brandingKey, string(text), s.now()); err != nil {
		return Branding{}, failed("set branding", err)
	}
	return b, nil
}

// ContrastWithWhite gives the contrast of a colour like #2f5bd0 with white, from 1 to 21 (WCAG 2.2). It is false if that is no colour.
func ContrastWithWhite(color string) (float64, bool) {
	l, ok := luminance(color)
	return 1.05 / (l + 0.05), ok
}

// LighterUntil gives the colour, mixed with as little white as gives it that contrast with another; both are like #2f5bd0.
func LighterUntil(color, on string, contrast float64) string {
	other, ok := luminance(on)
	if !ok {
		return color
	}
	rgb, ok := channels(color)
	if !ok {
		return color
	}
	for step := range 21 {
		var parts [3]int
		for i, c := range rgb {
			parts[i] = c + (255-c)*step/20
		}
		mixed := fmt.Sprintf("#%02x%02x%02x", parts[0], parts[1], parts[2])
		if l, _ := luminance(mixed); (max(l, other)+0.05)/(min(l, other)+0.05) >= contrast {
			return mixed
		}
	}
	return "#ffffff"
}

func luminance(color string) (float64, bool) {
	rgb, ok := channels(color)
	if !ok {
		return 0, false
	}
	linear := func(c int) float64 {
		v := float64(c) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(rgb[0]) + 0.7152*linear(rgb[1]) + 0.0722*linear(rgb[2]), true
}

func channels(color string) ([3]int, bool) {
	if !regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(color) {
		return [3]int{}, false
	}
	n, err := strconv.ParseInt(color[1:], 16, 32)
	return [3]int{int(n >> 16 & 255), int(n >> 8 & 255), int(n & 255)}, err == nil
}
