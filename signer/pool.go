package signer

import (
	"context"
	"crypto"
	"sync"
	"sync/atomic"
	"time"
)

// pool keeps key pairs ready for citizens to come, since making an RSA key is
// what getting a certificate takes longest.
//
// They are nobody's yet and wrapped by the token, but not under anybody's
// password. So they are kept in this process's memory alone: in the database, a
// copy of it from before a citizen took such a key would open, with the HSM,
// without the password, for as long as the key signs. In memory they are worth
// no more to a thief than what passes through it at each signature anyway.
type pool struct {
	keys      Keys
	algorithm string
	size      int

	mu    sync.Mutex
	ready []readyKey

	// Making a key takes a core: it waits until nobody else needs one.
	working atomic.Int64
	last    atomic.Int64 // when somebody last did, Unix nanoseconds
}

type readyKey struct {
	kek     int
	public  crypto.PublicKey
	wrapped []byte
}

// take gives away a key that is wrapped under that key-encryption key. Those
// under an older one are nobody's to be.
func (p *pool) take(kek int, algorithm string) (readyKey, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) > 0 {
		k := p.ready[0]
		p.ready = p.ready[1:]
		if k.kek == kek && p.algorithm == algorithm {
			return k, true
		}
		zero(k.wrapped)
	}
	return readyKey{}, false
}

// busy marks work that a citizen waits for, until what it returns is called.
func (p *pool) busy() (done func()) {
	p.working.Add(1)
	return func() {
		p.last.Store(time.Now().UnixNano())
		p.working.Add(-1)
	}
}

// idle is how long nobody must have waited for anything before a key is made.
const idle = time.Second

// fill makes one key if there is room for it and nobody waits. Those under an
// older key-encryption key make room.
func (p *pool) fill(ctx context.Context, kek int) error {
	p.mu.Lock()
	for len(p.ready) > 0 && p.ready[0].kek != kek { // the oldest come first
		zero(p.ready[0].wrapped)
		p.ready = p.ready[1:]
	}
	room := len(p.ready) < p.size
	p.mu.Unlock()
	if !room || p.working.Load() > 0 || time.Since(time.Unix(0, p.last.Load())) < idle {
		return nil
	}
	public, wrapped, err := p.keys.GenerateWrapped(ctx, KEK.Label(kek), p.algorithm)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, readyKey{kek: kek, public: public, wrapped: wrapped})
	return nil
}

// KeepReady makes keys in idle time until ctx ends. With keeper token there is
// nothing to prepare: a key in the token is an object that must have an owner.
func (s *Service) KeepReady(ctx context.Context) {
	s.keep(ctx, idle/4, "key_not_ready", func(ctx context.Context) error {
		epochs := s.Vault.Epochs()
		if epochs.Keeper != SealedKeeper {
			return nil
		}
		return s.pool.fill(ctx, epochs.KEK)
	})
	s.pool.drop()
}

func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.ready {
		zero(k.wrapped)
	}
	p.ready = nil
}
