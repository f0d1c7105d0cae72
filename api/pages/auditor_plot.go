package pages

import (
	"fmt"
	"math"
)

// Chart is a plot and its table: one row a category, one column a series. The
// plot is drawn from the table's numbers, so that they cannot differ.
type Chart struct {
	// Name tells charts of one page apart: it begins the identifiers in the
	// drawing. The sentences of a chart are audit.chart.<Name>.title, .desc,
	// .head (of the categories) and .empty.
	Name   string
	Series []Series
	Rows   []ChartRow
	// Lying draws bars from left to right, for categories that have long names.
	Lying bool
	// Single has no total beside its series: there is one, or they do not add up.
	Single bool
}

// Series is one column of a table, and one texture of a plot.
type Series struct {
	Label string
	// Texture is 1 to 5, and names the same thing in all charts of a page.
	Texture int
}

// ChartRow is one category.
type ChartRow struct {
	Label  string
	URL    string // leads to more about it; may be empty
	Values []int64
	// Cells are the values as the table writes them, nil for plain numbers.
	Cells []string
}

// Sum adds a row up.
func (r ChartRow) Sum() int64 {
	var sum int64
	for _, value := range r.Values {
		sum += value
	}
	return sum
}

// Sums adds the columns up.
func (c Chart) Sums() []int64 {
	sums := make([]int64, len(c.Series))
	for _, row := range c.Rows {
		for i, value := range row.Values {
			sums[i] += value
		}
	}
	return sums
}

// Sum adds everything up.
func (c Chart) Sum() int64 {
	var sum int64
	for _, row := range c.Rows {
		sum += row.Sum()
	}
	return sum
}

// The drawing's measures, in its own units: text is 13 of them high.
const (
	plotWidth     = 640
	standHeight   = 260
	lyingBar      = 34 // height of a category
	marginLeft    = 56
	marginLying   = 272 // room for the names
	marginRight   = 16
	marginTop     = 12
	marginBottom  = 36
	maxBar        = 48
	labelsAtMost  = 8
	nameAtMost    = 36 // letters of a category's name that go beside its bar
	ticksAtMost   = 5
	barsAtMost    = 120
	lyingAtMost   = 12
	leastBarWidth = 2
)

// Plot is a drawing, ready for a template: everything in it lies in its frame.
type Plot struct {
	Width, Height float64
	// Frame is where bars may be.
	Frame Box
	Bars  []Bar
	Ticks []Tick // of the values
	Names []Tick // of the categories
	Lying bool
}

// Box is a rectangle.
type Box struct{ X, Y, W, H float64 }

// Right and Bottom are its far edges.
func (b Box) Right() float64 { return b.X + b.W }

// Bottom is the lower edge.
func (b Box) Bottom() float64 { return b.Y + b.H }

// Bar is the part of one series in one category.
type Bar struct {
	Box
	Texture int
	Row     string
	Series  string
	Value   int64
}

// Tick is a place on an axis and what it says.
type Tick struct {
	X, Y float64
	Text string
}

// Plot draws a chart. Categories beyond what can be told apart are left to the
// table: the last ones lying, the first days standing.
func (c Chart) Plot() Plot {
	if c.Lying {
		return c.lying()
	}
	return c.standing()
}

// Drawn are the rows that the plot shows.
func (c Chart) Drawn() []ChartRow {
	switch {
	case c.Lying && len(c.Rows) > lyingAtMost:
		return c.Rows[:lyingAtMost]
	case !c.Lying && len(c.Rows) > barsAtMost:
		return c.Rows[len(c.Rows)-barsAtMost:]
	}
	return c.Rows
}

// Hidden is how many rows only the table has.
func (c Chart) Hidden() int { return len(c.Rows) - len(c.Drawn()) }

func (c Chart) standing() Plot {
	p := Plot{Width: plotWidth, Height: standHeight}
	p.Frame = Box{marginLeft, marginTop, plotWidth - marginLeft - marginRight, standHeight - marginTop - marginBottom}
	rows := c.Drawn()
	step, top := scale(highest(rows))
	for value := int64(0); value <= top; value += step {
		p.Ticks = append(p.Ticks, Tick{X: p.Frame.X, Y: p.Frame.Bottom() - share(value, top)*p.Frame.H, Text: fmt.Sprint(value)})
	}
	if len(rows) == 0 {
		return p
	}
	slot := p.Frame.W / float64(len(rows))
	width := max(leastBarWidth, min(maxBar, slot*0.8))
	every := (len(rows) + labelsAtMost - 1) / labelsAtMost
	for i, row := range rows {
		middle := p.Frame.X + slot*(float64(i)+0.5)
		if i%every == 0 {
			p.Names = append(p.Names, Tick{X: middle, Y: p.Frame.Bottom() + 20, Text: row.Label})
		}
		floor := p.Frame.Bottom()
		for s, value := range row.Values {
			height := share(value, top) * p.Frame.H
			if height == 0 {
				continue
			}
			floor -= height
			p.Bars = append(p.Bars, Bar{Box{middle - width/2, floor, width, height}, c.Series[s].Texture, row.Label, c.Series[s].Label, value})
		}
	}
	return p
}

func (c Chart) lying() Plot {
	rows := c.Drawn()
	height := marginTop + float64(len(rows))*lyingBar
	p := Plot{Width: plotWidth, Height: height + marginBottom, Lying: true}
	p.Frame = Box{marginLying, marginTop, plotWidth - marginLying - 2*marginRight, height - marginTop}
	step, top := scale(highest(rows))
	for value := int64(0); value <= top; value += step {
		p.Ticks = append(p.Ticks, Tick{X: p.Frame.X + share(value, top)*p.Frame.W, Y: p.Frame.Bottom() + 20, Text: fmt.Sprint(value)})
	}
	for i, row := range rows {
		y := p.Frame.Y + lyingBar*float64(i)
		p.Names = append(p.Names, Tick{X: p.Frame.X - 8, Y: y + lyingBar/2, Text: abbreviated(row.Label)})
		left := p.Frame.X
		for s, value := range row.Values {
			width := share(value, top) * p.Frame.W
			if width == 0 {
				continue
			}
			p.Bars = append(p.Bars, Bar{Box{left, y + 5, width, lyingBar - 10}, c.Series[s].Texture, row.Label, c.Series[s].Label, value})
			left += width
		}
	}
	return p
}

func highest(rows []ChartRow) int64 {
	var most int64
	for _, row := range rows {
		most = max(most, row.Sum())
	}
	return most
}

func share(value, top int64) float64 { return float64(max(0, value)) / float64(top) }

// scale divides an axis by 1, 2 or 5 times a power of ten, so that it ends at
// or above the highest value.
func scale(most int64) (step, top int64) {
	step = 1
	for n := 0; (most+step-1)/step > ticksAtMost; n++ {
		// 1 → 2 → 5 → 10
		if n%3 == 1 {
			step = step / 2 * 5
		} else {
			step *= 2
		}
	}
	parts := max(1, (most+step-1)/step)
	return step, parts * step
}

// abbreviated keeps the beginning of a long name: all of it is in the table.
func abbreviated(name string) string {
	letters := []rune(name)
	if len(letters) <= nameAtMost {
		return name
	}
	return string(letters[:nameAtMost-1]) + "…"
}

// coordinate writes a number of the drawing, to a tenth.
func coordinate(v float64) string { return fmt.Sprint(math.Round(v*10) / 10) }
