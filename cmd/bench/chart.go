package main

import (
	"fmt"
	"slices"
	"strings"
)

// The chart's size and the rectangle that is drawn in.
const (
	chartWidth, chartHeight               = 760, 420
	plotLeft, plotTop, plotRight, plotEnd = 64, 56, 620, 356
)

// line is a variant in the chart.
type line struct {
	variant string
	points  []point
}

type point struct {
	x       float64
	tenants int
	ratio   spread
}

// chart draws the ratios of the mix under zipf, by number of tenants, one line per variant. It is an SVG of its own, whose colours follow
// the reader's choice of light or dark.
func (r report) chart() string {
	var counts []int
	for _, found := range r.Results {
		if found.Operation == opMix && !slices.Contains(counts, found.Tenants) {
			counts = append(counts, found.Tenants)
		}
	}
	slices.Sort(counts)
	step := float64(plotRight-plotLeft) / float64(len(counts)+1)
	var lines []line
	highest := 1.1
	for _, variant := range variants()[1:] {
		l := line{variant: variant}
		for i, n := range counts {
			found, ok := r.find(n, zipf, opMix, variant)
			if !ok { // One tenant has no distribution.
				found, ok = r.find(n, uniform, opMix, variant)
			}
			if ok {
				l.points = append(l.points, point{plotLeft + step*float64(i+1), n, found.Ratio})
				highest = max(highest, found.Ratio.Max*1.02)
			}
		}
		if len(l.points) > 0 {
			lines = append(lines, l)
		}
	}
	y := func(ratio float64) float64 { return plotEnd - ratio/highest*(plotEnd-plotTop) }

	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="system-ui, sans-serif" font-size="13">`,
		chartWidth, chartHeight)
	say(`<title>Throughput as a share of the ceiling's, by number of tenants</title>`)
	say("<style>%s</style>", chartStyle)
	say(`<text x="%d" y="24" class="head">Requests per second as a share of the ceiling's</text>`, plotLeft)
	say(`<text x="%d" y="42" class="soft">the mix of operations, zipf; bars: lowest and highest round</text>`, plotLeft)
	for tick := 0.0; tick <= highest; tick += 0.25 {
		class := "grid"
		if tick == 1 {
			class = "grid ceiling"
		}
		say(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="%s"/>`, plotLeft, plotRight, y(tick), y(tick), class)
		say(`<text x="%d" y="%.1f" text-anchor="end" class="soft">%.2f</text>`, plotLeft-8, y(tick)+4, tick)
	}
	for i, n := range counts {
		say(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, plotLeft+step*float64(i+1), plotEnd+22, thousands(n))
	}
	say(`<text x="%d" y="%d" text-anchor="middle" class="soft">tenants</text>`, (plotLeft+plotRight)/2, plotEnd+44)
	for _, l := range lines {
		l.draw(say, y)
	}
	for _, label := range placeLabels(lines, y) {
		say(`<text x="%d" y="%.1f" class="%s">%s</text>`, plotRight+10, label.y+4, label.class, label.text)
	}
	say("</svg>")
	return b.String()
}

// chartStyle has a colour per variant, told apart by lightness too, for either background.
const chartStyle = `
text{fill:#1f2328}.soft{fill:#59636e}.head{font-size:15px;font-weight:600}
.grid{stroke:#d1d9e0}.ceiling{stroke:#59636e;stroke-dasharray:5 4}
polyline{fill:none;stroke-width:2.5}
.naive{stroke:#c2410c}.pooled{stroke:#0f766e}.sealed{stroke:#1d4ed8}
circle.naive,text.naive{fill:#c2410c}circle.pooled,text.pooled{fill:#0f766e}circle.sealed,text.sealed{fill:#1d4ed8}
text{stroke:none!important}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#3d444d}.ceiling{stroke:#9198a1}
.naive{stroke:#fb923c}.pooled{stroke:#2dd4bf}.sealed{stroke:#7aa2ff}
circle.naive,text.naive{fill:#fb923c}circle.pooled,text.pooled{fill:#2dd4bf}circle.sealed,text.sealed{fill:#7aa2ff}
}
`

func (l line) draw(say func(string, ...any), y func(float64) float64) {
	path := make([]string, len(l.points))
	for i, p := range l.points {
		path[i] = fmt.Sprintf("%.1f,%.1f", p.x, y(p.ratio.Median))
	}
	say(`<polyline points="%s" class="%s"/>`, strings.Join(path, " "), l.variant)
	for _, p := range l.points {
		say(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="%s"/>`, p.x, p.x, y(p.ratio.Min), y(p.ratio.Max), l.variant)
		say(`<circle cx="%.1f" cy="%.1f" r="4" class="%s"><title>%s, %s tenants: %.2f</title></circle>`,
			p.x, y(p.ratio.Median), l.variant, l.variant, thousands(p.tenants), p.ratio.Median)
	}
}

type label struct {
	y           float64
	text, class string
}

// placeLabels names each line at the right, at the height of its last point, and moves labels that would lie on each other apart.
func placeLabels(lines []line, y func(float64) float64) []label {
	labels := []label{{y(1), "ceiling 1.00", "soft"}}
	for _, l := range lines {
		last := l.points[len(l.points)-1]
		text := fmt.Sprintf("%s %.2f", l.variant, last.ratio.Median)
		labels = append(labels, label{y(last.ratio.Median), text, l.variant})
	}
	slices.SortStableFunc(labels, func(a, b label) int { return int(a.y - b.y) })
	const apart = 17
	for i := 1; i < len(labels); i++ {
		labels[i].y = max(labels[i].y, labels[i-1].y+apart)
	}
	return labels
}
