package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/store"
)

// perPublication is how many entries come between two checkpoints, a second apart.
const perPublication = 1000

// library is a log that has grown large.
type library struct {
	*Log

	server *server
	db     *store.DB
	size   int
}

// large measures what is read from a log of many entries.
func (l *Log) large(ctx context.Context, s *server) ([]Figure, error) {
	const name = "library"
	db, err := s.logbook(ctx, name, 4)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	b := &library{Log: l, server: s, db: db, size: l.entries()}
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.fill(ctx, name, b.size); err != nil {
		return nil, err
	}
	figures := []Figure{
		info("log/entries", float64(b.size), "entries"),
		info("log/entries_filled_per_second", float64(b.size)/time.Since(began).Seconds(), "1/s"),
	}
	if err := errors.Join(later(), s.checkpoint(ctx)); err != nil {
		return nil, err
	}
	for _, p := range []struct {
		prefix  string
		measure func(context.Context) ([]Figure, error)
	}{{"log/proof", b.proofs}, {"log/search", b.searches}, {"log/verify", b.verification}, {"log/publication", b.publication}} {
		if !l.wanted(p.prefix) {
			continue
		}
		more, err := p.measure(ctx)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", p.prefix, err)
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

func (b *library) proofs(ctx context.Context) ([]Figure, error) {
	size := int64(b.size)
	took, err := b.slowest(200, func() error {
		_, err := audit.ProveInclusion(ctx, size, mathrand.Int64N(size), b.db) //nolint:gosec // which, does not matter
		return err
	})
	return []Figure{below("log/proof_ms", took, 10, "ms")}, err
}

// searches are for what one operation, one citizen and one certificate left, of
// any that the log has.
func (b *library) searches(ctx context.Context) ([]Figure, error) {
	db, err := store.Open(ctx, b.server.url("rubrica_auditor", "library"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	door := store.ForAuditor(db)
	all := historyOf(b.size)
	var figures []Figure
	for _, kind := range []struct {
		name   string
		filter func(n int) audit.Filter
		least  int
	}{
		{"log/search_hash_ms", func(n int) audit.Filter {
			return audit.Filter{Terms: []audit.Term{{Kind: audit.TermDocument, Value: invented("document", n)}}}
		}, perOperation - 1},
		{"log/search_citizen_ms", func(n int) audit.Filter { return audit.Filter{Citizen: all.citizen(n)} }, perOperation * perCitizen},
		{"log/search_serial_ms", func(n int) audit.Filter {
			return audit.Filter{Terms: []audit.Term{{Kind: audit.TermCertificate, Value: all.serial(n)}}}
		}, 3 * perCitizen},
	} {
		took, err := b.slowest(100, func() error {
			n := mathrand.IntN(b.size / perOperation) //nolint:gosec // which, does not matter
			found, err := door.Search(ctx, kind.filter(n), audit.Stretch{To: int64(b.size), NewestFirst: true, Limit: 100})
			if err == nil && len(found.Records) < kind.least {
				err = fmt.Errorf("operation %d: found %d entries, want %d", n, len(found.Records), kind.least)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, below(kind.name, took, 50, "ms"))
	}
	return figures, nil
}

// verification reads and checks the whole log, as its owner does.
func (b *library) verification(ctx context.Context) ([]Figure, error) {
	took, err := spend(1, func() error {
		return b.db.Snapshot(ctx, func(log audit.Log) error {
			report, err := audit.Verify(ctx, log)
			if err == nil && report.Size < int64(b.size) {
				err = fmt.Errorf("%d entries, want %d", report.Size, b.size)
			}
			return err
		})
	})
	millions := float64(b.size) / 1_000_000
	return []Figure{
		below("log/verify_million_s", took.wall/millions, 60, "s"),
		info("log/verify_million_cpu", took.cpu/millions, "s"),
	}, err
}

// publication is what a second's entries ask of the publisher and of who serves
// tiles: the checkpoint, signed, and every tile and bundle that is new.
func (b *library) publication(ctx context.Context) ([]Figure, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	key, err := audit.NewLogKey("localhost/log", private)
	if err != nil {
		return nil, err
	}
	var took []float64
	for round := range b.Rounds {
		before, err := b.db.LogHead(ctx)
		if err != nil {
			return nil, err
		}
		var entries []audit.Entry
		for n := range perPublication / perOperation {
			entries = append(entries, historyOf(b.size).operation(b.size+round*perPublication+n, time.Now())...)
		}
		if err := b.db.Log(ctx, entries...); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := b.publish(ctx, key, before.Size); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began).Seconds())
	}
	return []Figure{below("log/publication_lag", median(took), 1, "s")}, nil
}

func (b *library) publish(ctx context.Context, key *audit.LogKey, older int64) error {
	head, err := b.db.LogHead(ctx)
	if err != nil {
		return err
	}
	tree, err := head.Tree()
	if err != nil {
		return err
	}
	if _, err := key.Sign(audit.Checkpoint{Origin: key.Origin(), Tree: tree}); err != nil {
		return err
	}
	for _, tile := range audit.Tiles(older, tree.Size) {
		if tile.L >= 0 {
			if _, err := audit.Tile(ctx, tree.Size, tile, b.db); err != nil {
				return err
			}
			continue
		}
		from, to, err := audit.BundleRange(tree.Size, tile)
		if err != nil {
			return err
		}
		leaves, err := b.db.Leaves(ctx, from, to)
		if err != nil {
			return err
		}
		if _, err := audit.Bundle(leaves); err != nil {
			return err
		}
	}
	return nil
}
