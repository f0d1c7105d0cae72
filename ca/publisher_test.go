package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const shardAddress = "http://pki.example.org/ca/issuing-1-2026-1.crl"

// row is a certificate on the shelf.
type row struct {
	RevokedCertificate // revoked if At is not zero
	notAfter           time.Time
}

// shelf keeps a shard in memory. Before a list is stored, meanwhile may do what
// another process does.
type shelf struct {
	mu        sync.Mutex
	lists     []PublishedList
	rows      map[string]*row
	forgetful bool // keeps no digests, but the lists themselves
	meanwhile func()
	broken    error
}

func (s *shelf) NewestList(context.Context, string) (PublishedList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lists) == 0 {
		return PublishedList{}, s.broken
	}
	last := s.lists[len(s.lists)-1]
	if s.forgetful {
		last.Digest = nil
	} else {
		last.DER = nil
	}
	return last, s.broken
}

func (s *shelf) Revocations(_ context.Context, _ string, since time.Time) ([]RevokedCertificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var revoked []RevokedCertificate
	for _, r := range s.rows {
		if !r.At.IsZero() && !r.notAfter.Before(since) {
			revoked = append(revoked, r.RevokedCertificate)
		}
	}
	return revoked, s.broken
}

func (s *shelf) PublishList(_ context.Context, _ string, l PublishedList) (bool, error) {
	if s.meanwhile != nil {
		s.meanwhile()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.lists, func(other PublishedList) bool { return other.Number == l.Number }) {
		return false, nil
	}
	s.lists = append(s.lists, l)
	return true, nil
}

// set issues, revokes or, with a zero time, releases a certificate.
func (s *shelf) set(serial string, at time.Time, reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[serial] == nil {
		s.rows[serial] = &row{notAfter: now.AddDate(4, 0, 0)}
	}
	s.rows[serial].RevokedCertificate = RevokedCertificate{Serial: serial, At: at, Reason: reason}
}

// press is a publisher of a shard's lists and the clock on its wall.
type press struct {
	*Publisher
	shelf  *shelf
	issuer *x509.Certificate
	now    time.Time
}

func newPress(h hierarchy) *press {
	p := &press{shelf: &shelf{rows: map[string]*row{}}, issuer: h.authority.Certificate, now: now}
	p.Publisher = &Publisher{
		Shard: "issuing-1-2026-1", Address: shardAddress, Lists: p.shelf, Sign: h.authority.CRL,
		Life: 7 * 24 * time.Hour, Renew: 24 * time.Hour, Now: func() time.Time { return p.now },
	}
	return p
}

func (p *press) publish(t *testing.T, want bool) {
	t.Helper()
	got, err := p.Publish(t.Context())
	if err != nil || got != want {
		t.Fatalf("Publish: got %v, %v, want %v", got, err, want)
	}
}

// newest reads the newest list, and demands that it is what was kept.
func (p *press) newest() (*x509.RevocationList, error) {
	last := p.shelf.lists[len(p.shelf.lists)-1]
	list, err := x509.ParseRevocationList(last.DER)
	if err != nil {
		return nil, err
	}
	if list.Number.Int64() != last.Number || !list.ThisUpdate.Equal(last.ThisUpdate) || !list.NextUpdate.Equal(last.NextUpdate) {
		return nil, fmt.Errorf("list %v from %v to %v is kept as %d from %v to %v", list.Number, list.ThisUpdate, list.NextUpdate, last.Number, last.ThisUpdate, last.NextUpdate)
	}
	return list, list.CheckSignatureFrom(p.issuer)
}

// want demands that the newest list has a number, the time of now, and just
// these serials and reasons.
func (p *press) want(t *testing.T, number int64, entries ...string) {
	t.Helper()
	list, err := p.newest()
	if err != nil {
		t.Fatal(err)
	}
	if got := list.Number.Int64(); got != number {
		t.Errorf("got list %d, want %d", got, number)
	}
	if diff := cmp.Diff(entries, listed(list)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// listed are the serials of a list with their reasons.
func listed(list *x509.RevocationList) []string {
	var entries []string
	for _, e := range list.RevokedCertificateEntries {
		entries = append(entries, fmt.Sprintf("%x %d", e.SerialNumber.Bytes(), e.ReasonCode))
	}
	return entries
}

func TestPublisher(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	for name, forgetful := range map[string]bool{"with digests": false, "with lists alone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPress(h)
			p.shelf.forgetful = forgetful
			p.publish(t, true)
			p.want(t, 1)

			p.now = now.Add(p.Renew - time.Second)
			p.publish(t, false)
			p.now = now.Add(p.Renew)
			p.publish(t, true)
			p.want(t, 2)

			p.now = p.now.Add(time.Minute)
			p.shelf.set("0badcafe", p.now, Superseded)
			p.publish(t, true)
			p.want(t, 3, "0badcafe 4")
			p.publish(t, false)

			// Its transaction ended after that list was made, though it began before.
			p.shelf.set("2", p.now.Add(-time.Second), Unspecified)
			p.publish(t, true)
			p.want(t, 4, "02 0", "0badcafe 4")

			p.shelf.set("03", p.now, CertificateHold)
			p.publish(t, true)
			p.want(t, 5, "02 0", "03 6", "0badcafe 4")
			p.shelf.set("03", p.now.Add(time.Second), CertificateHold)
			p.publish(t, true)
			p.shelf.set("03", time.Time{}, 0)
			p.publish(t, true)
			p.want(t, 7, "02 0", "0badcafe 4")
			p.shelf.set("2", p.now.Add(-time.Second), KeyCompromise)
			p.publish(t, true)
			p.want(t, 8, "02 1", "0badcafe 4")
			p.publish(t, false)

			p.Address = "http://pki.example.org/elsewhere.crl"
			p.publish(t, true)
			p.publish(t, false)
		})
	}
}

// A certificate that has expired is on one list at least that was made after
// that, and none is made in order to remove it.
func TestPublisherKeepsTheExpired(t *testing.T) {
	t.Parallel()
	p := newPress(ecHierarchy(t))
	p.shelf.set("0badcafe", now, KeyCompromise)
	p.shelf.rows["0badcafe"].notAfter = now.Add(time.Hour)
	p.publish(t, true)
	p.now = now.Add(2 * time.Hour)
	p.publish(t, false)
	for day := range 7 {
		p.now = now.Add(time.Duration(day+1) * p.Renew)
		p.publish(t, true)
		p.want(t, int64(day)+2, "0badcafe 1")
	}
	p.now = now.Add(p.Life + 2*time.Hour)
	p.publish(t, false)
	p.now = now.Add(p.Life + p.Renew)
	p.publish(t, true)
	p.want(t, 9)

	// What expires while nobody publishes is named once more.
	p.shelf.set("02", p.now, KeyCompromise)
	p.shelf.rows["02"].notAfter = p.now.Add(time.Hour)
	p.publish(t, true)
	p.now = p.now.Add(10 * p.Life)
	p.publish(t, true)
	p.want(t, 11, "02 1")
	p.publish(t, false)
	p.now = p.now.Add(p.Renew)
	p.publish(t, true)
	p.want(t, 12)
}

func TestPublisherMakesALastList(t *testing.T) {
	t.Parallel()
	p := newPress(ecHierarchy(t))
	p.Ends = now.Add(36 * time.Hour)
	p.shelf.set("0badcafe", now, KeyCompromise)
	p.shelf.rows["0badcafe"].notAfter = p.Ends
	p.publish(t, true)
	p.now = p.Ends
	p.publish(t, true)
	if list, err := p.newest(); err != nil || !list.NextUpdate.Equal(p.now.Add(p.Life).Truncate(time.Second)) {
		t.Errorf("at the end: got next update %v, %v", list.NextUpdate, err)
	}
	p.now = p.Ends.Add(time.Second)
	p.publish(t, true)
	p.want(t, 3, "0badcafe 1")
	list, err := p.newest()
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC); !list.NextUpdate.Equal(want) {
		t.Errorf("next update of the last list: got %v, want %v", list.NextUpdate, want)
	}
	for range 3 {
		p.now = p.now.AddDate(1, 0, 0)
		p.shelf.set("02", p.now, KeyCompromise)
		p.publish(t, false)
	}
}

// Another process gives the number to a list that misses the newest revocation.
func TestPublisherLosesNumber(t *testing.T) {
	t.Parallel()
	p := newPress(ecHierarchy(t))
	empty := newPress(hierarchy{authority: &Authority{Certificate: p.issuer}})
	empty.Sign = p.Sign
	empty.publish(t, true)
	p.shelf.set("0badcafe", now.Add(-time.Hour), Superseded)
	p.shelf.meanwhile = func() {
		p.shelf.lists = empty.shelf.lists
		p.shelf.meanwhile = nil
	}
	p.publish(t, true)
	p.want(t, 2, "0badcafe 4")

	// Another that says the same is as good.
	p.shelf.set("0badcafe", time.Time{}, 0)
	p.shelf.meanwhile = func() {
		p.shelf.meanwhile = nil
		p.publish(t, true)
	}
	p.publish(t, false)
	p.want(t, 3)

	p.shelf.set("0badcafe", now, Superseded)
	p.shelf.meanwhile = func() {
		p.shelf.lists = append(p.shelf.lists, PublishedList{Number: int64(len(p.shelf.lists)) + 1, ThisUpdate: now, Digest: []byte("another's")})
	}
	if done, err := p.Publish(t.Context()); done || err == nil {
		t.Errorf("losing each number: got %v, %v, want an error", done, err)
	}
}

// Many publish and revoke at once: each number is given once, and in the end
// the list says what is the case.
func TestPublishersAtOnce(t *testing.T) {
	t.Parallel()
	p := newPress(ecHierarchy(t))
	var mu sync.Mutex
	published := 0
	var wait sync.WaitGroup
	var lost atomic.Int64
	for i := range 8 {
		wait.Go(func() {
			for j := range 10 {
				p.shelf.set(fmt.Sprintf("%02x%02x", i+1, j), now, KeyCompromise)
				done, err := p.Publish(t.Context())
				if err != nil {
					lost.Add(1) // every number, to the seven others
				}
				if done {
					mu.Lock()
					published++
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	if _, err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := p.newest()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(list.RevokedCertificateEntries); got != 80 {
		t.Errorf("entries: got %d, want 80", got)
	}
	for i, l := range p.shelf.lists {
		if l.Number != int64(i)+1 {
			t.Errorf("number of list %d: got %d", i+1, l.Number)
		}
	}
	if lost.Load() == 80 {
		t.Error("nobody ever got a number")
	}
	if extra := len(p.shelf.lists) - published; extra < 0 || extra > 1 {
		t.Errorf("got %d lists, but %d reports of one", len(p.shelf.lists), published)
	}
}

func TestPublisherFails(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		change func(*press)
		cause  error
	}{
		"database":          {func(p *press) { p.shelf.broken = broken }, broken},
		"key":               {func(p *press) { p.Sign = func(List) ([]byte, error) { return nil, broken } }, broken},
		"clock not trusted": {func(p *press) { p.Trusted = func(context.Context) error { return broken } }, broken},
		"serial":            {func(p *press) { p.shelf.set("xyz", now, 0) }, nil},
		"serial of 0":       {func(p *press) { p.shelf.set("00", now, 0) }, nil},
		"reason":            {func(p *press) { p.shelf.set("01", now, 8) }, ErrRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPress(h)
			c.change(p)
			if done, err := p.Publish(t.Context()); done || err == nil || c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("Publish: got %v, %v, want an error", done, err)
			}
			if got := len(p.shelf.lists); got != 0 {
				t.Errorf("got %d lists, want none", got)
			}
		})
	}
}

// A clock that went back before the last list makes none: its lists would be
// older than one with a lower number.
func TestPublisherWithASlowClock(t *testing.T) {
	t.Parallel()
	p := newPress(ecHierarchy(t))
	p.publish(t, true)
	p.now = now.Add(-time.Hour)
	p.shelf.set("0badcafe", now, KeyCompromise)
	if done, err := p.Publish(t.Context()); err == nil || done {
		t.Errorf("Publish: got %v, %v, want an error", done, err)
	}
	p.now = now
	p.publish(t, true)
	p.want(t, 2, "0badcafe 1")
}

// A list that cannot be read any more is made anew, where it is all that was kept.
func TestPublisherReplacesDamage(t *testing.T) {
	t.Parallel()
	p := newPress(ecHierarchy(t))
	p.shelf.forgetful = true
	p.publish(t, true)
	p.shelf.lists[0].DER = []byte("damaged")
	p.publish(t, true)
	p.want(t, 2)
}
