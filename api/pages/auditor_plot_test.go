package pages

import (
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
)

// anyChart is a chart of any shape, with any numbers.
func anyChart(t *rapid.T) Chart {
	chart := Chart{Name: "any", Lying: rapid.Bool().Draw(t, "lying")}
	for i := range rapid.IntRange(1, 5).Draw(t, "series") {
		chart.Series = append(chart.Series, Series{Label: "series " + strconv.Itoa(i), Texture: i + 1})
	}
	most := rapid.SampledFrom([]int64{0, 1, 9, 1000, 1 << 40}).Draw(t, "most")
	for i := range rapid.IntRange(0, 200).Draw(t, "rows") {
		row := ChartRow{Label: "row " + strconv.Itoa(i)}
		for range chart.Series {
			row.Values = append(row.Values, rapid.Int64Range(0, most).Draw(t, "value"))
		}
		chart.Rows = append(chart.Rows, row)
	}
	return chart
}

// TestPlotStaysInItsFrame holds for every chart: bars lie in the frame and not
// over each other, their areas are in proportion to their values, the values
// drawn add up to those of the table, and the axis goes far enough.
func TestPlotStaysInItsFrame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chart := anyChart(t)
		plot := chart.Plot()
		const slack = 1e-6
		frame := plot.Frame
		if frame.X < 0 || frame.Y < 0 || frame.Right() > plot.Width || frame.Bottom() > plot.Height {
			t.Fatalf("frame %+v is not in %g × %g", frame, plot.Width, plot.Height)
		}
		drawn := make(map[string]int64)
		ends := make(map[string]float64)
		for _, bar := range plot.Bars {
			if bar.X < frame.X-slack || bar.Y < frame.Y-slack || bar.Right() > frame.Right()+slack || bar.Bottom() > frame.Bottom()+slack {
				t.Fatalf("bar %+v is not in the frame %+v", bar, frame)
			}
			if bar.W < 0 || bar.H < 0 || math.IsNaN(bar.W+bar.H+bar.X+bar.Y) {
				t.Fatalf("bar %+v has no size", bar)
			}
			begins, end := bar.X, bar.Right()
			if !chart.Lying {
				begins, end = -bar.Bottom(), -bar.Y
			}
			if last, some := ends[bar.Row]; some && math.Abs(last-begins) > slack {
				t.Fatalf("bar %+v begins at %g, want it where the one before ends, at %g", bar, begins, last)
			}
			ends[bar.Row] = end
			drawn[bar.Row] += bar.Value
		}
		for _, row := range chart.Drawn() {
			if drawn[row.Label] != row.Sum() {
				t.Fatalf("%s: got %d drawn, want the table's %d", row.Label, drawn[row.Label], row.Sum())
			}
		}
		if len(chart.Drawn())+chart.Hidden() != len(chart.Rows) {
			t.Fatalf("got %d rows drawn and %d hidden of %d", len(chart.Drawn()), chart.Hidden(), len(chart.Rows))
		}
		for _, tick := range append(plot.Ticks, plot.Names...) {
			if tick.X < 0 || tick.X > plot.Width || tick.Y < 0 || tick.Y > plot.Height {
				t.Fatalf("label %+v is outside", tick)
			}
		}
		checkAxis(t, chart, plot)
	})
}

func checkAxis(t *rapid.T, chart Chart, plot Plot) {
	if len(plot.Ticks) < 2 || len(plot.Ticks) > ticksAtMost+1 {
		t.Fatalf("got %d ticks, want 2 to %d", len(plot.Ticks), ticksAtMost+1)
	}
	last, err := strconv.ParseInt(plot.Ticks[len(plot.Ticks)-1].Text, 10, 64)
	if err != nil || last < highest(chart.Drawn()) || plot.Ticks[0].Text != "0" {
		t.Fatalf("axis from %s to %d, want it from 0 past %d: %v", plot.Ticks[0].Text, last, highest(chart.Drawn()), err)
	}
}

// TestTablesAddUpToTheTotals: whatever is counted in a range stands in a table,
// once.
func TestTablesAddUpToTheTotals(t *testing.T) {
	t.Parallel()
	words := open(t).speak("es")
	rapid.Check(t, func(t *rapid.T) {
		from := time.Date(2026, time.Month(rapid.IntRange(1, 12).Draw(t, "month")), rapid.IntRange(1, 28).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		days := rapid.IntRange(1, 400).Draw(t, "days")
		totals := auditing.Totals{From: from, To: from.AddDate(0, 0, days)}
		var signatures, failures, refused int64
		for range rapid.IntRange(0, 50).Draw(t, "totals") {
			at := from.AddDate(0, 0, rapid.IntRange(0, days-1).Draw(t, "at"))
			n := rapid.Int64Range(1, 1000).Draw(t, "n")
			app := rapid.SampledFrom([]string{"app-1", "app-2", ""}).Draw(t, "application")
			totals.Signatures = append(totals.Signatures, auditing.SignatureTotal{Day: at, Application: app, Result: rapid.SampledFrom(auditing.Results()).Draw(t, "result"), N: n})
			signatures += n
			totals.CodeFailures = append(totals.CodeFailures, auditing.EventTotal{Day: at, Type: rapid.SampledFrom([]audit.EventType{audit.CodeFailed, audit.CodeExpired, audit.CodeExhausted, audit.CodeSendFailed}).Draw(t, "type"), N: n})
			failures += n
			totals.Refusals = append(totals.Refusals, auditing.ReasonTotal{Reason: rapid.SampledFrom([]string{"code_wrong", "", "new_reason"}).Draw(t, "reason"), N: n})
			refused += n
		}
		view := &AuditTotals{}
		view.draw(totals, map[string]string{"app-1": "Sede"}, words)
		for i, want := range []int64{signatures, signatures, refused, failures} {
			chart := view.Charts[i]
			var columns int64
			for _, sum := range chart.Sums() {
				columns += sum
			}
			if chart.Sum() != want || columns != want {
				t.Fatalf("%s: rows add up to %d and columns to %d, want %d", chart.Name, chart.Sum(), columns, want)
			}
			if got := len(chart.Rows); !chart.Lying && got > 0 && !view.Monthly && got != days {
				t.Fatalf("%s: got %d rows, want one for each of %d days", chart.Name, got, days)
			}
		}
	})
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ most, step, top int64 }{
		{0, 1, 1}, {1, 1, 1}, {5, 1, 5}, {6, 2, 6}, {10, 2, 10}, {11, 5, 15}, {25, 5, 25}, {26, 10, 30}, {100, 20, 100}, {101, 50, 150}, {430, 100, 500}, {1_000_000, 200_000, 1_000_000},
	} {
		if step, top := scale(test.most); step != test.step || top != test.top {
			t.Errorf("scale(%d): got %d up to %d, want %d up to %d", test.most, step, top, test.step, test.top)
		}
	}
}

func TestMeansAreOfAllDaysOfAMonth(t *testing.T) {
	t.Parallel()
	words := open(t).speak("es")
	totals := auditing.Totals{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), Confirmations: []auditing.TimeTotal{
		{Day: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), N: 1, Seconds: 10}, {Day: time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC), N: 3, Seconds: 150},
	}}
	view := &AuditTotals{}
	view.draw(totals, nil, words)
	row := view.Charts[4].Rows[2]
	if row.Label != "03/2026" || row.Values[0] != 40 || row.Cells[0] != "40 segundos (4 confirmaciones)" {
		t.Errorf("March: got %+v, want 40 seconds of 4", row)
	}
}
