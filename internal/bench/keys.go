package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rubrica-firma/rubrica/hsm"
)

// Keys measures what it costs that nobody but the citizen can sign.
type Keys struct {
	// Token is the environment's, and Config how it was opened.
	Token  *hsm.Token
	Config hsm.Config
	// Program is the rubrica command, Settings its configuration file.
	Program, Settings string
	// Dir is where this house may make a database cluster of its own.
	Dir string
	// Scales are numbers of citizens, the smallest first.
	Scales []int
	// Only is what names of figures have to start with to be measured.
	Only string
	// Rounds is how often each figure is taken, or in what proportion; the
	// median counts.
	Rounds int
}

// Measure implements House.
func (k *Keys) Measure(ctx context.Context) ([]Figure, error) {
	return k.measure(ctx, []part{
		{[]string{"keys/pool", "keys/sealed"}, (&Pool{Config: k.Config, Rounds: k.Rounds}).Measure},
		{[]string{"keys/batch100"}, k.served(k.batch)},
		{[]string{"keys/memory", "keys/refused", "keys/identify"}, k.served(k.memory)},
		{[]string{"keys/scale"}, k.served(k.scale)},
	})
}

// part of a house measures the figures under some prefixes.
type part struct {
	prefixes []string
	measure  func(context.Context) ([]Figure, error)
}

// measure takes the parts whose figures are wanted.
func (k *Keys) measure(ctx context.Context, parts []part) ([]Figure, error) {
	var figures []Figure
	for _, part := range parts {
		if !slices.ContainsFunc(part.prefixes, k.wanted) {
			continue
		}
		more, err := part.measure(ctx)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", part.prefixes[0], err)
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

func (k *Keys) wanted(prefix string) bool {
	return strings.HasPrefix(prefix, k.Only) || strings.HasPrefix(k.Only, prefix)
}

// served gives a measurement a database server that is there for it alone.
func (k *Keys) served(measure func(context.Context, *server) ([]Figure, error)) func(context.Context) ([]Figure, error) {
	return func(ctx context.Context) ([]Figure, error) {
		s, err := k.startServer(ctx)
		if err != nil {
			return nil, fmt.Errorf("starting a database server: %w", err)
		}
		defer s.stop(ctx)
		return measure(ctx, s)
	}
}
