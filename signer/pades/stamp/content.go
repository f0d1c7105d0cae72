package stamp

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Names of the resources.
const (
	fontName  = "F"
	spaceName = "Grey" // calibrated grey
)

// content writes a content stream (ISO 32000-2, 7.8.2).
type content struct {
	buf    []byte
	subset *subset
}

// draw fills in Content and Slots. Marks come in the order in which the stamp is read.
func (a *Appearance) draw(d draft, t time.Time) error {
	c := content{subset: a.subset}
	for _, r := range timeAlphabet {
		g, _ := a.subset.face.font.NominalGlyph(r)
		if _, err := c.subset.cid(g, string(r)); err != nil {
			return err
		}
	}
	c.printf("/%s cs %s sc\n0 0 %s %s re f\n", spaceName, number(grey), number(min(bar, d.box.Width/40)), number(d.box.Height))
	c.print("BT\n")
	for _, p := range d.text.pieces {
		c.printf("%s sc /%s %s Tf 1 0 0 1 %s %s Tm\n", number(p.grey), fontName, number(p.size),
			number(d.left+p.x), number(d.box.Height-d.top-p.y))
		if !p.fixed {
			if err := c.show(p); err != nil {
				return err
			}
			continue
		}
		slot := Slot{Offset: int64(len(c.buf)) + 1, Layout: timeLayout, Alphabet: timeAlphabet}
		code, err := slot.Encode(t)
		if err != nil {
			return err
		}
		c.printf("<%s> Tj\n", code)
		a.Slots = append(a.Slots, slot)
	}
	c.print("ET\n")
	if d.code != nil {
		c.code(d)
	}
	a.Content = c.buf
	return nil
}

func (c *content) print(s string) { c.buf = append(c.buf, s...) }

func (c *content) printf(format string, args ...any) { c.buf = fmt.Appendf(c.buf, format, args...) }

// show shows a shaped text. What TJ subtracts makes up for kerning and for
// marks that stand beside the pen; Ts lifts them.
func (c *content) show(p piece) error {
	pen, at, rise := 0, 0, 0 // where the next glyph belongs; where the viewer's pen is; its rise
	open := false
	for _, g := range p.run.glyphs {
		cid, err := c.subset.cid(g.id, g.text)
		if err != nil {
			return err
		}
		if g.y != rise {
			if open {
				c.print(">] TJ\n")
				open = false
			}
			c.printf("%s Ts\n", number(float64(g.y)*p.size/em))
			rise = g.y
		}
		if !open {
			c.print("[<")
			open = true
		}
		if shift := at - (pen + g.x); shift != 0 {
			c.printf(">%d<", shift)
			at -= shift
		}
		c.printf("%04x", cid)
		at += c.subset.face.advance(g.id)
		pen += g.advance
	}
	if open {
		c.print(">] TJ\n")
	}
	if rise != 0 {
		c.print("0 Ts\n")
	}
	return nil
}

// code paints the check code on the right, as one path, so that no seam shows
// between its modules.
func (c *content) code(d draft) {
	side := d.code.side()
	c.printf("q 0 sc %s 0 0 %s %s %s cm\n", precise(d.code.module), precise(d.code.module),
		precise(d.codeLeft), precise((d.box.Height-side)/2))
	for y := range d.code.Size {
		for x := 0; x < d.code.Size; x++ {
			start := x
			for x < d.code.Size && d.code.Black(x, y) {
				x++
			}
			if x > start {
				c.printf("%d %d %d 1 re\n", start, d.code.Size-1-y, x-start)
			}
		}
	}
	c.print("f Q\n")
}

// number writes a real with two decimals, which is finer than print.
func number(v float64) string { return decimal(math.Round(v*100) / 100) }

// precise writes a real with four decimals, for what is multiplied.
func precise(v float64) string { return decimal(math.Round(v*10000) / 10000) }

func decimal(v float64) string {
	if v == 0 {
		v = 0 // no minus zero
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
