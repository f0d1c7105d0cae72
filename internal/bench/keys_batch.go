package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/hsm"
)

// batch holds the signature of a hundred documents, one authorisation, through
// the signer's socket, against a hundred bare C_Sign of a key of the same kind.
// What comes before the signature (request, password, code, authorisation) is
// one ceremony however many documents it is for, and is left out.
func (k *Keys) batch(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "batch", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	r, err := t.enrol(ctx)
	if err != nil {
		return nil, fmt.Errorf("enrolling: %w", err)
	}
	process, err := s.signer(ctx, t.name)
	if err != nil {
		return nil, err
	}
	defer process.stop(ctx)
	bare, end, err := k.bareLoop(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing a bare loop: %w", err)
	}
	defer end()

	var ours, raw, ratio []float64
	for range 3 * k.Rounds {
		answer, err := t.ready(ctx, r, hundred)
		if err != nil {
			return nil, err
		}
		a, err := process.client.Authorise(ctx, answer)
		if err != nil {
			return nil, fmt.Errorf("authorising: %w", err)
		}
		before, err := seconds(bare)
		if err != nil {
			return nil, fmt.Errorf("signing bare: %w", err)
		}
		signed, err := seconds(func() error { return process.client.Sign(ctx, a.SAD) })
		if err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		after, err := seconds(bare)
		if err != nil {
			return nil, fmt.Errorf("signing bare: %w", err)
		}
		limit := (before + after) / 2
		ours, raw, ratio = append(ours, signed), append(raw, limit), append(ratio, limit/signed)
	}
	return []Figure{
		info("keys/batch100_raw", 1000*median(raw), "ms"),
		info("keys/batch100_sign", 1000*median(ours), "ms"),
		// Whatever else the machine does only takes time: what is left of it in
		// the best of rounds is the least.
		info("keys/batch100_over_raw_at_best", slices.Min(raw)/slices.Min(ours), "ratio"),
		above("keys/batch100_over_raw", median(ratio), 0.90),
	}, nil
}

const hundred = 100

func seconds(do func() error) (float64, error) {
	began := time.Now()
	err := do()
	return time.Since(began).Seconds(), err
}

// bareLoop signs as many times with nothing around C_Sign.
func (k *Keys) bareLoop(ctx context.Context) (loop func() error, end func(), err error) {
	config := k.Config
	config.Sessions = 1
	keys, err := newBenchKeys(ctx, config, hsm.RSA3072)
	if err != nil {
		return nil, nil, err
	}
	p, err := keys.pair(config)
	if err != nil {
		return nil, nil, errors.Join(err, keys.close(ctx))
	}
	_, sign := p.pooled(ctx)
	loop = func() error {
		for range hundred {
			if err := sign(); err != nil {
				return err
			}
		}
		return nil
	}
	return loop, func() { _ = errors.Join(p.module.CloseSession(p.session), keys.close(ctx)) }, nil
}
