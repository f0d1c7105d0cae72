package ca

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// PublishedList is a revocation list as it is kept.
type PublishedList struct {
	Number     int64 // 0 if there is none yet
	DER        []byte
	ThisUpdate time.Time
	NextUpdate time.Time
	// Digest stands for what the list says: it changes with every revocation,
	// release and change of a reason, and not when a certificate expires. It
	// is to be kept beside the list; without it, DER is read at each turn.
	Digest []byte
}

// RevokedCertificate is a revocation as it is kept.
type RevokedCertificate struct {
	Serial string // hexadecimal
	At     time.Time
	Reason Reason
}

// Lists is where the lists of an authority's shards are kept. A shard is the
// set of certificates that name the same list.
type Lists interface {
	// NewestList is a shard's list with the highest number. It may leave out
	// DER if it has the Digest.
	NewestList(ctx context.Context, shard string) (PublishedList, error)
	// Revocations lists the shard's revoked certificates, those suspended among
	// them, but for those that had expired before since.
	Revocations(ctx context.Context, shard string, since time.Time) ([]RevokedCertificate, error)
	// PublishList stores a list unless its number is taken, and says which.
	PublishList(ctx context.Context, shard string, l PublishedList) (bool, error)
}

// Publisher keeps the revocation list of one shard fresh. Several processes may
// do so at once: a number is given to one list, and whoever comes too late
// looks whether that one says what is the case.
type Publisher struct {
	Shard string // its name in Lists
	// Address is where the list is published, as the certificates name it.
	Address string
	// Ends is when the last certificate of a shard expires that will get no
	// more; zero as long as it may. After it a last list is made (ETSI EN 319
	// 411-2, requirements CSS-6.3.10-07 and -09).
	Ends  time.Time
	Lists Lists
	Sign  func(List) ([]byte, error)
	Life  time.Duration // from ThisUpdate to NextUpdate
	Renew time.Duration // after it a new list is made though nothing has changed
	Now   func() time.Time
	// Trusted says why the clock of Now is not to be trusted; nil trusts it.
	Trusted func(ctx context.Context) error
}

// attempts to get a number, of which each is lost to another process.
const attempts = 5

// Publish makes a new list if the last one does not say what is the case, or is
// getting old, and reports whether it did. Without an error, what was revoked
// before the call is on a list. What the last one says is known by its digest,
// not by its date: a revocation may become visible after a list that is dated
// later.
//
// A certificate that has expired stays on the list for one Life more, or until
// it has been on one list after its expiry, whichever is longer (RFC 5280,
// section 3.3). It does not leave earlier than there is a new list for another
// reason.
func (p *Publisher) Publish(ctx context.Context) (bool, error) {
	for range attempts {
		due, published, err := p.attempt(ctx)
		if err != nil || !due || published {
			return published, err
		}
	}
	return false, fmt.Errorf("publishing %s: the number was another's %d times", p.Shard, attempts)
}

// attempt reports whether a list was due, and whether it was published.
func (p *Publisher) attempt(ctx context.Context) (due, published bool, err error) {
	if p.Trusted != nil {
		if err := p.Trusted(ctx); err != nil {
			return false, false, fmt.Errorf("trusting the clock: %w", err)
		}
	}
	// The list is read before the revocations. So whoever gets a number knows at
	// least what is on the list before it.
	last, err := p.Lists.NewestList(ctx, p.Shard)
	if err != nil {
		return false, false, fmt.Errorf("reading the last list: %w", err)
	}
	now := p.Now().UTC().Truncate(time.Second)
	switch {
	case last.NextUpdate.Equal(LastNextUpdate()):
		return false, false, nil
	case now.Before(last.ThisUpdate):
		return false, false, fmt.Errorf("the clock stands before list %d of %s, dated %s", last.Number, p.Shard, last.ThisUpdate.UTC().Format(time.RFC3339))
	}
	ended := !p.Ends.IsZero() && now.After(p.Ends)
	if last.Number > 0 && !ended && now.Before(last.ThisUpdate.Add(p.Renew)) {
		says, err := p.revoked(ctx, last.ThisUpdate.Add(-p.Life))
		if err != nil || bytes.Equal(digest(p.Address, says), last.digest()) {
			return false, false, err
		}
	}
	next := List{Number: last.Number + 1, ThisUpdate: now, NextUpdate: now.Add(p.Life), DistributionPoint: p.Address}
	if ended {
		next.NextUpdate = LastNextUpdate()
	}
	published, err = p.make(ctx, next, last)
	return true, published, err
}

func (p *Publisher) make(ctx context.Context, next List, last PublishedList) (bool, error) {
	since := next.ThisUpdate.Add(-p.Life)
	var err error
	if next.Revoked, err = p.revoked(ctx, since); err != nil {
		return false, err
	}
	sum := digest(p.Address, next.Revoked)
	// Nobody published for longer than a Life, or ever: what expired in that time
	// has been on no list since. The digest leaves it out, as later ones will;
	// and it is taken first, so that it never knows more than the list.
	if last.ThisUpdate.Before(since) {
		if next.Revoked, err = p.revoked(ctx, last.ThisUpdate); err != nil {
			return false, err
		}
	}
	der, err := p.Sign(next)
	if err != nil {
		return false, fmt.Errorf("signing the list: %w", err)
	}
	published, err := p.Lists.PublishList(ctx, p.Shard, PublishedList{
		Number: next.Number, DER: der, ThisUpdate: next.ThisUpdate, NextUpdate: next.NextUpdate, Digest: sum,
	})
	if err != nil {
		return false, fmt.Errorf("storing the list: %w", err)
	}
	return published, nil
}

// revoked reads the revocations in the order of the list.
func (p *Publisher) revoked(ctx context.Context, since time.Time) ([]Revocation, error) {
	kept, err := p.Lists.Revocations(ctx, p.Shard, since)
	if err != nil {
		return nil, fmt.Errorf("reading the revocations: %w", err)
	}
	revoked := make([]Revocation, len(kept))
	for i, r := range kept {
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok || serial.Sign() <= 0 {
			return nil, fmt.Errorf("reading the revocations: serial %q is none", r.Serial)
		}
		revoked[i] = Revocation{Serial: serial.Bytes(), At: r.At, Reason: r.Reason}
	}
	slices.SortFunc(revoked, compareSerials)
	return revoked, nil
}

// digest is that of the list as it was kept, or as the list itself has it. One
// that cannot be read has none, and is replaced.
func (l PublishedList) digest() []byte {
	if len(l.Digest) > 0 {
		return l.Digest
	}
	list, err := readList(l.DER)
	if err != nil {
		return nil
	}
	return digest(list.DistributionPoint, list.Revoked)
}

// digest stands for what a list says but for its number and dates. Revocations
// are in the order of the list.
func digest(address string, revoked []Revocation) []byte {
	h := sha256.New()
	row := binary.AppendUvarint(nil, uint64(len(address)))
	h.Write(append(row, address...))
	for _, r := range revoked {
		row = binary.AppendUvarint(row[:0], uint64(len(r.Serial)))
		row = append(row, r.Serial...)
		row = binary.AppendVarint(row, r.At.Unix())
		h.Write(binary.AppendVarint(row, int64(r.Reason)))
	}
	return h.Sum(nil)
}
