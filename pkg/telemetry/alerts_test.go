package telemetry_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	alertsFile  = "../../configs/prometheus/alerts.yaml"
	runbook     = "https://github.com/rowhousehq/rowhouse/blob/main/docs/jobs.md#"
	runbookFile = "../../docs/jobs.md"
)

type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) (found []alert) {
	t.Helper()
	text, err := os.Open(alertsFile)
	require.NoError(t, err)
	defer text.Close() //nolint:errcheck // Only read.
	decoder := yaml.NewDecoder(text)
	decoder.KnownFields(true)
	var file struct {
		Groups []struct {
			Name  string  `yaml:"name"`
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, decoder.Decode(&file))
	for _, group := range file.Groups {
		require.NotEmpty(t, group.Name)
		found = append(found, group.Rules...)
	}
	require.NotEmpty(t, found)
	return found
}

// TestAlerts holds the rules against the metrics that there are, and their links against the runbooks.
func TestAlerts(t *testing.T) {
	t.Parallel()
	m, url := setup(t)
	fill(t, m)
	_, err := m.RegisterSchedules()
	require.NoError(t, err)
	registered := map[string]bool{"up": true} // Prometheus's own
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(scrape(t, url), -1) {
		registered[match[1]] = true
	}
	text, err := os.ReadFile(runbookFile)
	require.NoError(t, err)
	anchors := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		anchors[strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")] = true
	}
	seen := map[string]bool{}
	for _, a := range alerts(t) {
		require.Regexp(t, "^Rowhouse[A-Za-z]+$", a.Alert)
		require.False(t, seen[a.Alert], "%s is there twice", a.Alert)
		seen[a.Alert] = true
		names := metricsIn(a.Expr)
		require.NotEmpty(t, names, a.Alert)
		for _, name := range names {
			require.True(t, registered[name], "%s asks for %s, which nobody shows", a.Alert, name)
		}
		require.Equal(t, strings.Count(a.Expr, "("), strings.Count(a.Expr, ")"), a.Alert)
		if a.For != "" {
			_, err := time.ParseDuration(a.For)
			require.NoError(t, err, a.Alert)
		}
		require.Contains(t, []string{"page", "ticket"}, a.Labels["severity"], a.Alert)
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		anchor, ours := strings.CutPrefix(a.Annotations["runbook_url"], runbook)
		require.True(t, ours, a.Alert)
		require.True(t, anchors[anchor], "%s: there is no runbook #%s", a.Alert, anchor)
	}
}

// metricsIn gives what in an expression is neither a function, a keyword nor a label.
func metricsIn(expr string) (names []string) {
	expr = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]`).ReplaceAllString(expr, " ")
	expr = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`).ReplaceAllString(expr, " ")
	for _, match := range regexp.MustCompile(`[a-zA-Z_:][\w:]*\s*\(?`).FindAllString(expr, -1) {
		switch name := strings.TrimSpace(match); {
		case strings.HasSuffix(name, "("):
		case name == "and", name == "or", name == "unless", name == "max", name == "min", name == "sum", name == "bool":
		default:
			names = append(names, name)
		}
	}
	return names
}

func TestMetricsIn(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a_total", "b_total", "c"},
		metricsIn(`sum by (kind) (rate(a_total{kind=~"x|y"}[5m])) / max(b_total) > 0.2 or absent(c{x="d"}) == 1`))
}
