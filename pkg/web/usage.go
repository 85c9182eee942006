package web

import (
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

const usageDays = 30

// usagePage is what the tenant has and does.
type usagePage struct {
	workspace.Usage

	Chart chart
}

// chart is a bar for each day, drawn as SVG. All lengths are in the units of its view box.
type chart struct {
	Width, Height float64
	Bars          []bar
	Lines         []gridLine
	Total         int64
}

type bar struct {
	X, Y, W, H float64
	Day        string
	Short      string // under some of the bars
	Events     int64
}

type gridLine struct {
	Y     float64
	Label string
}

func (h *Pages) usage(c echo.Context) error {
	ctx, scope := at(c)
	found, err := h.work(c).Usage(ctx, scope, usageDays)
	if err != nil {
		return err
	}
	view := usagePage{Usage: found, Chart: draw(found.Activity)}
	return h.render(c, http.StatusOK, "work/usage", page{Title: "Usage", Nav: "usage", Data: view})
}

// draw makes the chart of how much happened on each day.
func draw(days []workspace.DayActivity) chart {
	const (
		left, top, bottom = 40.0, 8.0, 24.0
		step, height      = 34.0, 200.0
		labelEvery        = 7
	)
	c := chart{Width: left + step*float64(len(days)) + 10, Height: height + top + bottom}
	most := int64(1)
	for _, d := range days {
		most, c.Total = max(most, d.Events), c.Total+d.Events
	}
	unit := niceStep(most)
	scale := float64((most + unit - 1) / unit * unit)
	for v := int64(0); v <= int64(scale); v += unit {
		c.Lines = append(c.Lines, gridLine{Y: top + height*(1-float64(v)/scale), Label: strconv.FormatInt(v, 10)})
	}
	for i, d := range days {
		tall := height * float64(d.Events) / scale
		b := bar{X: left + step*float64(i) + 3, Y: top + height - tall, W: step - 6, H: tall, Day: shortDate(d.Day.String()), Events: d.Events}
		if (len(days)-1-i)%labelEvery == 0 {
			b.Short = b.Day[:len(b.Day)-5]
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}

// Middle is where the bar's label stands.
func (b bar) Middle() float64 { return b.X + b.W/2 }

// niceStep gives 1, 2 or 5 times a power of ten, of which some four make up most.
func niceStep(most int64) int64 {
	power := int64(math.Pow10(int(math.Log10(max(1, float64(most)/4)))))
	for _, n := range []int64{1, 2, 5, 10} {
		if n*power*4 >= most {
			return n * power
		}
	}
	return 10 * power
}
