// Package bench measures the service on real parts and holds it against limits
// taken in the same run, in ratios: these compare across machines, and across
// the moods of one machine. Each figure is the median of several rounds.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// Figure is one measured value.
type Figure struct {
	Name  string  `json:"name"` // house/what
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal"` // empty for figures that only inform
	OK    bool    `json:"ok"`
	Note  string  `json:"note,omitempty"` // where to look, if the goal was missed
}

// below makes a figure that should not exceed a limit.
func below(name string, value, limit float64, unit string) Figure {
	return Figure{Name: name, Value: value, Unit: unit, Goal: fmt.Sprintf("<=%.2f", limit), OK: value <= limit}
}

// above makes a ratio that should not fall short of a limit.
func above(name string, value, limit float64) Figure {
	return Figure{Name: name, Value: value, Unit: "ratio", Goal: fmt.Sprintf(">=%.2f", limit), OK: value >= limit}
}

// within makes a figure that should lie between two limits.
func within(name string, value, low, high float64, unit string) Figure {
	return Figure{Name: name, Value: value, Unit: unit, Goal: fmt.Sprintf("%.2f..%.2f", low, high), OK: low <= value && value <= high}
}

// info makes a figure without a goal.
func info(name string, value float64, unit string) Figure {
	return Figure{Name: name, Value: value, Unit: unit, OK: true}
}

// House measures the figures under one prefix.
type House struct {
	Prefix  string // "spine/"
	Measure func(ctx context.Context) ([]Figure, error)
}

// Run measures the houses whose figures can start with only, prints a table and
// writes the figures to file.
func Run(ctx context.Context, houses []House, only, file string, out io.Writer) error {
	var figures []Figure
	for _, house := range houses {
		if !strings.HasPrefix(house.Prefix, only) && !strings.HasPrefix(only, house.Prefix) {
			continue
		}
		measured, err := house.Measure(ctx)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", house.Prefix, err)
		}
		figures = append(figures, measured...)
	}
	figures = slices.DeleteFunc(figures, func(f Figure) bool { return !strings.HasPrefix(f.Name, only) })
	if len(figures) == 0 {
		return fmt.Errorf("no figure starts with %q", only)
	}
	print(out, figures)
	return write(file, figures)
}

func print(out io.Writer, figures []Figure) {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "figure\tvalue\tunit\tgoal\t")
	for _, f := range figures {
		verdict := ""
		if f.Goal != "" {
			verdict = "met"
			if !f.OK {
				verdict = strings.TrimSpace("MISSED " + f.Note)
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%.3f\t%s\t%s\t%s\n", f.Name, f.Value, f.Unit, f.Goal, verdict)
	}
	_ = table.Flush()
}

func write(file string, figures []Figure) error {
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the figures: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // figures are for everybody
		return fmt.Errorf("keeping the figures: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil { //nolint:gosec // figures are for everybody
		return fmt.Errorf("keeping the figures: %w", err)
	}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
