package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shelf keeps lists in memory. Before a list is stored, meanwhile may do what
// another process does.
type shelf struct {
	lists     []PublishedList
	revoked   []RevokedCertificate
	meanwhile func()
	broken    error
}

func (s *shelf) NewestList(context.Context, string) (PublishedList, error) {
	if len(s.lists) == 0 {
		return PublishedList{}, s.broken
	}
	return s.lists[len(s.lists)-1], s.broken
}

func (s *shelf) Revocations(context.Context, string, time.Time) ([]RevokedCertificate, error) {
	return s.revoked, s.broken
}

func (s *shelf) PublishList(_ context.Context, _ string, l PublishedList) error {
	if s.meanwhile != nil {
		s.meanwhile()
	}
	for _, other := range s.lists {
		if other.Number == l.Number {
			return nil
		}
	}
	s.lists = append(s.lists, l)
	return nil
}

func (s *shelf) revoke(serial string, at time.Time) {
	s.revoked = append(s.revoked, RevokedCertificate{Serial: serial, At: at, Reason: Superseded})
}

// press is a publisher of an authority's lists and the clock on its wall.
type press struct {
	*Publisher
	shelf  *shelf
	issuer *x509.Certificate
	now    time.Time
}

func newPress(t *testing.T) *press {
	t.Helper()
	h := ecHierarchy(t)
	p := &press{shelf: new(shelf), issuer: h.authority.Certificate, now: now}
	p.Publisher = &Publisher{
		Issuer: "issuing", Lists: p.shelf, Sign: h.authority.CRL, Life: 7 * 24 * time.Hour, Renew: 24 * time.Hour,
		Now: func() time.Time { return p.now },
	}
	return p
}

func (p *press) publish(t *testing.T) {
	t.Helper()
	if err := p.Publish(t.Context()); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// want demands that the newest list has a number, the time of now, a valid
// signature, and just these serials.
func (p *press) want(t *testing.T, number int64, serials ...string) {
	t.Helper()
	last := p.shelf.lists[len(p.shelf.lists)-1]
	list, err := x509.ParseRevocationList(last.DER)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(p.issuer); err != nil {
		t.Errorf("list %d: %v", number, err)
	}
	if list.Number.Int64() != number || last.Number != number {
		t.Errorf("got list %v kept as %d, want %d", list.Number, last.Number, number)
	}
	if !list.ThisUpdate.Equal(last.ThisUpdate.Truncate(time.Second)) || !list.NextUpdate.Equal(last.ThisUpdate.Add(p.Life).Truncate(time.Second)) {
		t.Errorf("got a list from %v to %v, want from %v for %v", list.ThisUpdate, list.NextUpdate, last.ThisUpdate, p.Life)
	}
	var got []string
	for _, e := range list.RevokedCertificateEntries {
		got = append(got, fmt.Sprintf("%x", e.SerialNumber.Bytes()))
	}
	if diff := cmp.Diff(serials, got); diff != "" {
		t.Errorf("serials (-want +got):\n%s", diff)
	}
}

func TestPublisher(t *testing.T) {
	t.Parallel()
	p := newPress(t)
	p.publish(t)
	p.want(t, 1)

	p.now = now.Add(p.Renew - time.Second)
	p.publish(t)
	p.want(t, 1)

	p.now = now.Add(p.Renew)
	p.publish(t)
	p.want(t, 2)

	p.now = p.now.Add(time.Minute)
	p.shelf.revoke("0badcafe", p.now)
	p.publish(t)
	p.want(t, 3, "0badcafe")
	p.publish(t)
	p.want(t, 3, "0badcafe")

	// Its transaction ended after that list was made, though it began before.
	p.shelf.revoke("02", p.now.Add(-time.Second))
	p.publish(t)
	p.want(t, 4, "02", "0badcafe")

	// A certificate that has expired leaves the list when there is another reason for one.
	p.shelf.revoked = p.shelf.revoked[:1]
	p.publish(t)
	p.want(t, 4, "02", "0badcafe")
	p.now = p.now.Add(p.Renew)
	p.publish(t)
	p.want(t, 5, "0badcafe")
}

// TestPublisherLosesNumber has another process give the number to a list that
// misses the newest revocation.
func TestPublisherLosesNumber(t *testing.T) {
	t.Parallel()
	p := newPress(t)
	der, err := p.Sign(List{Number: 1, ThisUpdate: now, NextUpdate: now.Add(p.Life)})
	if err != nil {
		t.Fatal(err)
	}
	p.shelf.revoke("0badcafe", now.Add(-time.Hour))
	p.shelf.meanwhile = func() {
		p.shelf.lists = []PublishedList{{Number: 1, DER: der, ThisUpdate: now, NextUpdate: now.Add(p.Life)}}
		p.shelf.meanwhile = nil
	}
	p.publish(t)
	p.want(t, 1)
	p.publish(t)
	p.want(t, 2, "0badcafe")
}

func TestPublisherFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, change := range map[string]func(*press){
		"database": func(p *press) { p.shelf.broken = broken },
		"key":      func(p *press) { p.Sign = func(List) ([]byte, error) { return nil, broken } },
		"serial":   func(p *press) { p.shelf.revoke("xyz", now) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPress(t)
			change(p)
			if err := p.Publish(t.Context()); err == nil || name != "serial" && !errors.Is(err, broken) {
				t.Errorf("Publish: got %v, want an error", err)
			}
			if got := len(p.shelf.lists); got != 0 {
				t.Errorf("got %d lists, want none", got)
			}
		})
	}
}

// TestPublisherReplacesDamage makes a list anew that cannot be read any more.
func TestPublisherReplacesDamage(t *testing.T) {
	t.Parallel()
	p := newPress(t)
	p.publish(t)
	p.shelf.lists[0].DER = []byte("damaged")
	p.publish(t)
	p.want(t, 2)
}
