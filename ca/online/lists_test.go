package online_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
)

// A change is on a list within two turns, and what is released leaves it.
func TestListsFollowChanges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	p.keep()
	p.twoTurns()
	c, other := p.issue(), p.issue()
	if c.place.Issuer != "issuing-1" || c.CRLDistributionPoints[0] != "http://ca.example/ca/"+c.place.Shard+".crl" {
		t.Fatalf("got %+v naming %v", c.place, c.CRLDistributionPoints)
	}
	for number, step := range []struct {
		change func()
		want   []string
	}{
		{func() {}, nil},
		{func() { h.revoke(c, ca.CertificateHold) }, []string{c.serial() + "/6"}},
		{func() { h.release(c) }, nil},
		{func() { h.revoke(c, ca.CertificateHold) }, []string{c.serial() + "/6"}},
		{func() { h.revoke(c, ca.KeyCompromise) }, []string{c.serial() + "/1"}},
		{func() { h.revoke(other, ca.CessationOfOperation) }, []string{c.serial() + "/1", other.serial() + "/5"}},
	} {
		step.change()
		p.twoTurns()
		slices.SortFunc(step.want, func(a, b string) int { // as numbers
			return cmpSerials(strings.Split(a, "/")[0], strings.Split(b, "/")[0])
		})
		if got, want := h.says(c.place.Shard), fmt.Sprintf("%d: %s", number+1, strings.Join(step.want, " ")); got != want {
			t.Errorf("step %d: got the list %q, want %q", number, got, want)
		}
	}
	p.quiet()
}

func cmpSerials(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Nothing that was revoked before the service started waits for a change.
func TestListsAfterAPause(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	stop := p.keep()
	c := p.issue()
	p.twoTurns()
	stop()
	h.revoke(c, ca.Superseded)
	h.sql(`DELETE FROM certificate_changes`) // it was away for longer than a day
	h.clock.advance(40 * day)
	next := h.process()
	next.keep()
	next.twoTurns()
	if got, want := h.says(c.place.Shard), "2: "+c.serial()+"/4"; got != want {
		t.Errorf("got the list %q, want %q", got, want)
	}
	next.quiet()
}

// Two processes keep the same lists: each number is one list, each list is good,
// and none forgets what the one before had.
func TestTwoKeepers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.process(), h.process()
	one.keep()
	two.keep()
	var all []string
	var shard string
	for range 15 {
		c := one.issue()
		h.revoke(c, ca.Superseded)
		all, shard = append(all, c.serial()), c.place.Shard
		time.Sleep(150 * time.Millisecond)
	}
	one.twoTurns()
	two.twoTurns()
	numbers := value[[]int64](h, `SELECT array_agg(number ORDER BY number) FROM crls WHERE shard = $1`, shard)
	ders := value[[][]byte](h, `SELECT array_agg(der ORDER BY number) FROM crls WHERE shard = $1`, shard)
	seen := 0
	for i, der := range ders {
		if numbers[i] != int64(i+1) {
			t.Errorf("got the numbers %v", numbers)
		}
		l := parseList(t, der)
		if err := l.CheckSignatureFrom(h.member("issuing-1")); err != nil {
			t.Errorf("list %d: %v", i+1, err)
		}
		if n := len(l.RevokedCertificateEntries); n < seen {
			t.Errorf("list %d has %d entries, the one before %d", i+1, n, seen)
		} else {
			seen = n
		}
	}
	if seen != len(all) {
		t.Errorf("the last list has %d entries, want %d", seen, len(all))
	}
	one.quiet()
	two.quiet()
}

// A clock that is not believed signs nothing, and is complained of; as soon as it
// is believed again everything goes on.
func TestClockIsNotTrusted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	c := p.issue()
	p.distrust.Store(true)
	p.keep()
	h.revoke(c, ca.KeyCompromise)
	p.twoTurns()
	if got := h.says(c.place.Shard); got != "nothing" {
		t.Errorf("published %q", got)
	}
	if n := value[int](h, `SELECT count(*) FROM ocsp_answers`); n != 0 {
		t.Errorf("kept %d answers", n)
	}
	if !strings.Contains(p.journal.text(), errDistrust.Error()) {
		t.Errorf("logged %q", p.journal.text())
	}
	if a := p.ask(c); a.ResponseStatus != 3 {
		t.Errorf("OCSP: got response status %d, want 3, tryLater", a.ResponseStatus)
	}
	query := stampQuery(t)
	if response, err := p.TimeStamp(t.Context(), query); err != nil || !bytes.Contains(response, []byte{0x03, 0x03, 0x01, 0x00, 0x02}) {
		t.Errorf("time-stamp: got %x, %v, want timeNotAvailable (bit 14)", response, err)
	}
	if err := p.Ready(t.Context()); err == nil {
		t.Error("ready")
	}
	if _, _, err := p.Prepare(t.Context(), h.request()); err == nil {
		t.Error("prepared a certificate")
	}
	p.distrust.Store(false)
	p.twoTurns()
	if got, want := h.says(c.place.Shard), "1: "+c.serial()+"/1"; got != want {
		t.Errorf("got the list %q, want %q", got, want)
	}
	p.answers(c, "revoked", ca.KeyCompromise)
	if err := p.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
}

// stampQuery is a TimeStampReq for a SHA-256 digest, nothing else (RFC 3161,
// section 2.4.1).
func stampQuery(t *testing.T) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte("sellado"))
	algorithm := []byte{0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0}
	imprint := slices.Concat([]byte{0x30, byte(len(algorithm) + 34)}, algorithm, []byte{4, 32}, digest[:])
	return slices.Concat([]byte{0x30, byte(len(imprint) + 3), 2, 1, 1}, imprint)
}

// A full database keeps the old list; nothing is lost, and the next turn with
// room publishes what was missed.
func TestFullDatabase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	p.keep()
	c, later := p.issue(), p.issue()
	p.twoTurns()
	before := h.list(c.place.Shard)
	h.sql(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$`)
	h.sql(`CREATE TRIGGER full_disk BEFORE INSERT ON crls FOR EACH ROW EXECUTE FUNCTION full_disk()`)
	p.quiet()
	h.revoke(c, ca.KeyCompromise)
	p.twoTurns()
	if after := h.list(c.place.Shard); !bytes.Equal(after.Raw, before.Raw) {
		t.Errorf("the list is another one: %q", h.says(c.place.Shard))
	}
	if !strings.Contains(p.journal.text(), "53100") {
		t.Errorf("logged %q", p.journal.text())
	}
	p.answers(c, "revoked", ca.KeyCompromise)
	h.sql(`DROP TRIGGER full_disk ON crls`)
	p.twoTurns()
	if got, want := h.says(c.place.Shard), "2: "+c.serial()+"/1"; got != want {
		t.Errorf("got the list %q, want %q", got, want)
	}
	h.revoke(later, ca.Superseded)
	p.twoTurns()
	if got := len(h.list(c.place.Shard).RevokedCertificateEntries); got != 2 {
		t.Errorf("the list has %d entries, want 2", got)
	}
}
