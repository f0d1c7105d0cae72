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
	bare, err := k.bareToken(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing a bare loop: %w", err)
	}
	defer bare.end()

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
		before, err := seconds(bare.hundred)
		if err != nil {
			return nil, fmt.Errorf("signing bare: %w", err)
		}
		signed, err := seconds(func() error { return process.client.Sign(ctx, a.SAD) })
		if err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		after, err := seconds(bare.hundred)
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

// bareToken is nothing around PKCS #11: a hundred C_Sign, and one with a key that is
// unwrapped for it and destroyed.
type bareToken struct {
	hundred, sealed func() error
	end             func()
}

func (k *Keys) bareToken(ctx context.Context) (bareToken, error) {
	config := k.Config
	config.Sessions = 1
	keys, err := newBenchKeys(ctx, config, hsm.RSA3072)
	if err != nil {
		return bareToken{}, err
	}
	p, err := keys.pair(config)
	if err != nil {
		return bareToken{}, errors.Join(err, keys.close(ctx))
	}
	_, sign := p.pooled(ctx)
	_, sealed := p.sealed(ctx)
	return bareToken{
		hundred: func() error {
			for range hundred {
				if err := sign(); err != nil {
					return err
				}
			}
			return nil
		},
		sealed: sealed,
		end:    func() { _ = errors.Join(p.module.CloseSession(p.session), keys.close(ctx)) },
	}, nil
}
