package workspace

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

// What the page of a report is made of. It has no script, and no style but the one: a policy in it forbids all else, wherever it is opened.
var (
	//go:embed report.gohtml
	reportPage string
	//go:embed report.css
	reportStyle string
)

// reportView is what the template is given.
type reportView struct {
	Policy string
	Style  template.CSS
	Day    string
	Zone   string
	MadeAt string
	// Sections are the whole workspace and then its projects.
	Sections []sectionView
	// More is how many projects are not shown.
	More int
}

type sectionView struct {
	// ID is unlike that of any other section.
	ID   string
	Name string
	figures
	Chart chartView
}

// html gives the page.
func (d *daily) html() ([]byte, error) {
	style := strings.TrimSpace(reportStyle)
	view := reportView{
		Policy: policyOf([]byte(style)),
		Style:  template.CSS(style), //nolint:gosec // It is ours.
		Day:    d.day.day.Format("Monday, 2 January 2006"), Zone: d.zone.String(), MadeAt: d.at.In(d.zone).Format(time.RFC1123Z),
		Sections: []sectionView{{ID: "all", Name: "All projects", figures: d.total, Chart: d.chart(d.total)}},
		More:     d.projects - len(d.shown),
	}
	for i, p := range d.shown {
		view.Sections = append(view.Sections, sectionView{ID: "p" + strconv.Itoa(i+1), Name: p.name, figures: p.figures, Chart: d.chart(p.figures)})
	}
	page, err := template.New("report").Parse(reportPage)
	if err != nil {
		return nil, fmt.Errorf("page of a report: %w", err)
	}
	var out bytes.Buffer
	if err = page.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("page of a report: %w", err)
	}
	return out.Bytes(), nil
}

// policyOf allows the one style, or none, and nothing else.
func policyOf(style []byte) string {
	if style == nil {
		return "default-src 'none'"
	}
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// styleIn gives the style of a page that html made. What customers wrote is escaped there, so the first one is ours.
func styleIn(page []byte) []byte {
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	style, _, ok := bytes.Cut(rest, []byte("</style>"))
	if !ok {
		return nil
	}
	return style
}

// Measures of a chart, in the units of its viewBox.
const (
	chartHeight = 100
	dayWidth    = 20
	barWidth    = 8
)

// chartView is a chart with two bars for each day.
type chartView struct {
	Width, Height int
	// Max is what the highest bar stands for.
	Max                     int
	CreatedSum, FinishedSum int
	From, To                string
	Days                    []dayView
}

type dayView struct {
	Day               string
	Created, Finished int
	CreatedBar        barView
	FinishedBar       barView
}

type barView struct{ X, Y, Width, Height int }

func (d *daily) chart(f figures) chartView {
	c := chartView{Width: seriesDays * dayWidth, Height: chartHeight, From: d.days[0].String(), To: d.day.String()}
	for i := range d.days {
		c.Max = max(c.Max, f.Created[i], f.Finished[i])
		c.CreatedSum += f.Created[i]
		c.FinishedSum += f.Finished[i]
	}
	for i, day := range d.days {
		c.Days = append(c.Days, dayView{
			Day: day.String(), Created: f.Created[i], Finished: f.Finished[i],
			CreatedBar:  bar(i*dayWidth+1, f.Created[i], c.Max),
			FinishedBar: bar(i*dayWidth+1+barWidth+1, f.Finished[i], c.Max),
		})
	}
	return c
}

// bar stands on the ground. What is not nothing can be seen.
func bar(x, n, most int) barView {
	if n == 0 {
		return barView{X: x, Y: chartHeight, Width: barWidth}
	}
	height := max(2, n*chartHeight/most)
	return barView{X: x, Y: chartHeight - height, Width: barWidth, Height: height}
}
