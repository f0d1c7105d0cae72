package bench

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/signer"
)

// issuance holds certificates against what they cannot be without: the key, as
// the bare module makes it and lets it out wrapped. How long that takes is a
// matter of luck with primes, so that means count, not medians.
func (c *CA) issuance(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "issuance", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	without, err := t.issued(ctx, 6*c.Rounds)
	if err != nil {
		return nil, err
	}
	generation, err := c.generation(ctx, c.Rounds+1)
	if err != nil {
		return nil, fmt.Errorf("generating keys: %w", err)
	}
	fresh, ready, err := t.readied(ctx, 1+c.Rounds/2)
	if err != nil {
		return nil, err
	}
	return []Figure{
		info("ca/issuance_without_key", 1000*median(without), "ms"),
		info("ca/issuance_generation", 1000*mean(generation), "ms"),
		info("ca/issuance_per_second", 1/mean(fresh), "1/s"),
		info("ca/issuance_generations_per_second", 1/mean(generation), "1/s"),
		// That is: two thirds of the rate at which the token makes keys, at least.
		below("ca/issuance_over_generation", mean(without)/mean(generation), 0.50, "ratio"),
		info("ca/issuance_fresh", 1000*median(fresh), "ms"),
		info("ca/issuance_ready", 1000*median(ready), "ms"),
		below("ca/issuance_ready_over_fresh", median(ready)/median(fresh), 0.50, "ratio"),
	}, nil
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// issued issues to n citizens and says how long each waited.
func (t *town) issued(ctx context.Context, n int) ([]float64, error) {
	var took []float64
	for range n {
		answer, err := t.applicant(ctx)
		if err != nil {
			return nil, err
		}
		one, err := seconds(func() error { return t.issue(ctx, answer) })
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// applicant comes to where only the code for a certificate has to be typed.
func (t *town) applicant(ctx context.Context) (signer.Answer, error) {
	r, err := t.activate(ctx)
	if err != nil {
		return signer.Answer{}, err
	}
	return t.apply(ctx, r)
}

// readied issues to citizens who wait for their key, and to as many for whom one
// is ready.
func (t *town) readied(ctx context.Context, n int) (fresh, ready []float64, err error) {
	epochs, err := t.db.Epochs(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the keys' epochs: %w", err)
	}
	keys := &counted{Token: t.keys.Token}
	if err := t.staff(ctx, staffing{keys: keys, epochs: epochs, cost: cheap(), ready: n}); err != nil {
		return nil, nil, err
	}
	if fresh, err = t.issued(ctx, n); err != nil {
		return nil, nil, err
	}
	before := keys.made.Load()
	ctx, cancel := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() { t.module.KeepReady(ctx); close(kept) }()
	defer func() { cancel(); <-kept }()
	for deadline := time.Now().Add(2 * time.Minute); keys.made.Load() < before+int64(n); {
		if time.Now().After(deadline) {
			return nil, nil, errors.New("the keys do not get ready")
		}
		time.Sleep(50 * time.Millisecond)
	}
	before = keys.made.Load()
	if ready, err = t.issued(ctx, n); err != nil {
		return nil, nil, err
	}
	if made := keys.made.Load() - before; made > 0 {
		return nil, nil, fmt.Errorf("%d keys were made for citizens who should have found theirs ready", made)
	}
	return fresh, ready, nil
}

// counted counts the keys that a token makes.
type counted struct {
	*hsm.Token

	made atomic.Int64
}

// GenerateWrapped implements signer.Keys.
func (c *counted) GenerateWrapped(ctx context.Context, kek, algorithm string) (crypto.PublicKey, []byte, error) {
	defer c.made.Add(1)
	return c.Token.GenerateWrapped(ctx, kek, algorithm)
}

// generation makes n keys with nothing around the module.
func (c *CA) generation(ctx context.Context, n int) (took []float64, err error) {
	config := c.Config
	config.Sessions = 1
	k, err := newBenchKeys(ctx, config, hsm.RSA3072)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.close(ctx)) }()
	p, err := k.pair(config)
	if err != nil {
		return nil, err
	}
	defer p.module.CloseSession(p.session) //nolint:errcheck // it has served
	kek, err := p.find(pkcs11.CKO_SECRET_KEY, p.kek)
	if err != nil {
		return nil, err
	}
	for range n {
		one, err := seconds(func() error { return p.generate(kek) })
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// generate makes an RSA-3072 key, wraps and forgets it.
func (p *pair) generate(kek pkcs11.ObjectHandle) error {
	public, private, err := p.module.GenerateKeyPair(p.session,
		[]*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil)},
		[]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false), pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, 3072),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		},
		[]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
			pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		})
	if err != nil {
		return fmt.Errorf("generating a key pair: %w", err)
	}
	_, err = p.module.WrapKey(p.session, p.wrapping, kek, private)
	return errors.Join(err, p.module.DestroyObject(p.session, public), p.module.DestroyObject(p.session, private))
}
