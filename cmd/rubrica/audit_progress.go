package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// progress is a bar on a terminal; elsewhere it shows nothing.
type progress struct {
	out *os.File // nil where there is no terminal

	mu   sync.Mutex
	last time.Time
}

func newProgress(out *os.File) *progress {
	if info, err := out.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{out: out}
}

// show draws the bar, ten times a second at most.
func (p *progress) show(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil || total <= 0 || done < total && time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	const width = 40
	filled := int(done * width / total)
	fmt.Fprintf(p.out, "\r[%s%s] %d of %d entries", strings.Repeat("#", filled), strings.Repeat("·", width-filled), done, total)
}

// end leaves the line to what comes next.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil && !p.last.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.last = time.Time{}
	}
}
