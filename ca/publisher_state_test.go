package ca

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is revoked, suspended, released and expires in whatever order: after
// Publish the newest list names just what is revoked and has not expired, and
// some of what expired not long ago; each revoked certificate is on a list that
// was made after its expiry; numbers and dates ascend.
func TestListsEqualTheState(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPress(h)
		p.shelf.forgetful = rapid.Bool().Draw(t, "forgetful")
		last, listedAfterExpiry := int64(0), map[string]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			serial := fmt.Sprintf("%02x", rapid.IntRange(1, 12).Draw(t, "serial"))
			r := p.shelf.rows[serial]
			switch step := rapid.SampledFrom([]string{"revoke", "suspend", "release", "wait", "publish", "publish"}).Draw(t, "step"); {
			case step == "wait":
				p.now = p.now.Add(time.Duration(rapid.IntRange(0, 20*24).Draw(t, "hours")) * time.Hour)
			case step == "publish":
				checkPublish(t, p, &last, listedAfterExpiry)
			case r != nil && p.now.After(r.notAfter): // nothing happens to the expired
			case step == "release":
				if r != nil && r.Reason == CertificateHold {
					p.shelf.set(serial, time.Time{}, 0)
				}
			default:
				reason := CertificateHold
				if step == "revoke" {
					reason = rapid.SampledFrom([]Reason{Unspecified, KeyCompromise, Superseded}).Draw(t, "reason")
				}
				p.shelf.set(serial, p.now, reason)
				if r == nil {
					p.shelf.rows[serial].notAfter = p.now.Add(time.Duration(rapid.IntRange(1, 40*24).Draw(t, "validity")) * time.Hour).Truncate(time.Second)
				}
			}
		}
		checkPublish(t, p, &last, listedAfterExpiry)
		for serial, r := range p.shelf.rows {
			if !r.At.IsZero() && p.now.After(r.notAfter.Add(p.Renew)) && !listedAfterExpiry[serial] {
				t.Errorf("%s was on no list after its expiry", serial)
			}
		}
	})
}

func checkPublish(t *rapid.T, p *press, last *int64, listedAfterExpiry map[string]bool) {
	t.Helper()
	done, err := p.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := p.newest()
	if err != nil {
		t.Fatal(err)
	}
	if number := list.Number.Int64(); done != (number > *last) || number > *last+1 {
		t.Fatalf("got list %d after %d, reported as %v", number, *last, done)
	}
	*last = list.Number.Int64()
	if age := p.now.Sub(list.ThisUpdate); age >= p.Renew+time.Second {
		t.Fatalf("the newest list is %v old", age)
	}
	got := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		serial := fmt.Sprintf("%x", e.SerialNumber.Bytes())
		r := p.shelf.rows[serial]
		got[serial] = true
		if r == nil || !r.At.Truncate(time.Second).Equal(e.RevocationTime) || int(r.Reason) != e.ReasonCode {
			t.Fatalf("%s is on the list at %v for %d, but %+v in the state", serial, e.RevocationTime, e.ReasonCode, r)
		}
		if list.ThisUpdate.After(r.notAfter) {
			listedAfterExpiry[serial] = true
		}
	}
	for serial, r := range p.shelf.rows {
		if !r.At.IsZero() && !got[serial] && !r.notAfter.Before(list.ThisUpdate.Add(-p.Life)) {
			t.Fatalf("%s is revoked, but not on the list", serial)
		}
	}
	again, err := p.Publish(t.Context())
	if again && err == nil && p.shelf.forgetful {
		// The list itself does not tell what is on it for longer than a Life.
		*last++
		again, err = p.Publish(t.Context())
	}
	if again || err != nil {
		t.Fatalf("again at once: got %v, %v", again, err)
	}
}
