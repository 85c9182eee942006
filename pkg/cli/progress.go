package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// How often progress is shown: on a terminal, and where lines are kept.
const (
	progressLive = 200 * time.Millisecond
	progressLine = time.Minute
)

// progress shows on standard error how far a long piece of work has come: a bar on a terminal, a line a minute otherwise. It is for one
// goroutine.
type progress struct {
	out                 io.Writer
	what                string
	total, done, failed int
	live                bool
	began, shown        time.Time
	now                 func() time.Time
}

// progress begins to show work on so many things.
func (c *cli) progress(what string, total int) *progress {
	file, ok := c.err.(*os.File)
	p := &progress{out: c.err, what: what, total: total, live: ok && isatty.IsTerminal(file.Fd()), now: time.Now}
	p.began = p.now()
	p.shown = p.began
	return p
}

// step says that one more is done, or has failed.
func (p *progress) step(failed bool) {
	p.done++
	if failed {
		p.failed++
	}
	every := progressLine
	if p.live {
		every = progressLive
	}
	if now := p.now(); now.Sub(p.shown) >= every {
		p.shown = now
		p.show()
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p.live {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K") // If standard error is gone there is nobody to tell.
	}
}

func (p *progress) show() {
	line := p.line()
	if p.live {
		line = "\r\x1b[K" + p.bar() + " " + line
	} else {
		line += "\n"
	}
	_, _ = fmt.Fprint(p.out, line) // As in end.
}

func (p *progress) bar() string {
	const width = 24
	filled := width * p.done / max(p.total, 1)
	return "[" + strings.Repeat("=", filled) + strings.Repeat(" ", width-filled) + "]"
}

// line says how many are done, how fast, and how long the rest will take.
func (p *progress) line() string {
	rate := float64(p.done) / max(p.now().Sub(p.began).Seconds(), 1e-3)
	left := time.Duration(float64(p.total-p.done) / max(rate, 1e-3) * float64(time.Second)).Round(time.Second)
	line := fmt.Sprintf("%d of %d %s, %.0f a second, %s left", p.done, p.total, p.what, rate, left)
	if p.failed > 0 {
		line += fmt.Sprintf(", %d failed", p.failed)
	}
	return line
}
