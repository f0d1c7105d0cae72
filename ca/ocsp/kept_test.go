package ocsp

import (
	"bytes"
	"crypto"
	"errors"
	"math/big"
	"testing"
	"time"

	other "golang.org/x/crypto/ocsp"
	"pgregory.net/rapid"
)

func TestKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	hall := newHall(t, h)
	serial := big.NewInt(0x0a)
	hall.ledger.set("issuing-1", serial, Status{State: Good})
	if err := hall.Presign(t.Context(), "issuing-1", "000A"); err != nil {
		t.Fatal(err)
	}
	start, ask := hall.now, asking(t, nil, h.id(t, serial))
	kept := hall.ledger.kept["0a"]
	var last []byte
	for _, c := range []struct {
		name   string
		change func()
		again  bool
	}{
		{"at once", func() {}, true},
		{"before half of its life", func() { hall.now = start.Add(12*time.Hour - time.Second) }, true},
		{"at half of its life", func() { hall.now = start.Add(12 * time.Hour) }, false},
		{"after that", func() {}, true},
		{"the clock went back", func() { hall.now = start }, false},
		{"suspended", func() { hall.ledger.set("issuing-1", serial, Status{State: Revoked, RevokedAt: start, Reason: 6}) }, false},
		{"after that", func() {}, true},
		{"released", func() { hall.ledger.set("issuing-1", serial, Status{State: Good}) }, false},
		{"the first answer is put back", func() { hall.ledger.kept["0a"] = kept }, false},
		{"with a version that it is not of", func() {
			hall.ledger.set("issuing-1", serial, Status{State: Revoked, RevokedAt: start})
			forge(hall, kept, 4)
		}, false},
		{"another certificate's", func() { k := hall.ledger.kept["0a"]; k.DER = kept.DER; hall.ledger.kept["0a"] = k }, false},
		{"damaged", func() { k := hall.ledger.kept["0a"]; k.DER = k.DER[:40]; hall.ledger.kept["0a"] = k }, false},
		{"with other dates", func() {
			k := hall.ledger.kept["0a"]
			k.NextUpdate = k.NextUpdate.AddDate(1, 0, 0)
			hall.ledger.kept["0a"] = k
		}, false},
		{"with fractions of a second", func() {
			k := hall.ledger.kept["0a"]
			k.ThisUpdate = k.ThisUpdate.In(time.FixedZone("", 3600))
			hall.ledger.kept["0a"] = k
		}, true},
		{"the responder was renewed", func() {
			key := ecKey(t)
			hall.issuers[0].Signer, hall.issuers[0].Responder = key, certify(t, responderTemplate(start), h.Certificate, key, h.key)
		}, false},
	} {
		if last == nil {
			last = kept.DER
		}
		c.change()
		answer := hall.ask(t, ask)
		if got := bytes.Equal(answer.DER, last); got != c.again {
			t.Errorf("%s: the same answer: got %v, want %v", c.name, got, c.again)
		}
		last = answer.DER
	}
	for _, bad := range []struct{ issuer, serial string }{{"issuing-1", "0b"}, {"issuing-2", "0a"}, {"issuing-1", "nothing"}} {
		if err := hall.Presign(t.Context(), bad.issuer, bad.serial); err == nil {
			t.Errorf("Presign(%s, %s): got no error", bad.issuer, bad.serial)
		}
	}
}

func forge(h *hall, k Kept, version int64) {
	k.Version = version
	h.ledger.kept[k.Serial] = k
}

// An answer that cannot be kept is good all the same, and the operator knows.
func TestKeepFails(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	hall := newHall(t, h)
	hall.ledger.set("issuing-1", big.NewInt(7), Status{State: Good})
	hall.ledger.unkept = errBroken
	answer, err := hall.Answer(t.Context(), asking(t, nil, h.id(t, big.NewInt(7))))
	if !errors.Is(err, errBroken) || protocol(answer.DER) != "<nil>" || !answer.Cacheable {
		t.Errorf("got %s, %v, want an answer and %v", protocol(answer.DER), err, errBroken)
	}
}

// A status that changes after it was read and before its answer is kept: the
// answer of the older status is never given once the change is there.
func TestStaleIsNeverUsed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	leaf := h.leaf(t, big.NewInt(7))
	hall := newHall(t, h)
	hall.ledger.set("issuing-1", leaf.SerialNumber, Status{State: Good})
	hall.ledger.meanwhile = func() {
		hall.ledger.meanwhile = nil
		hall.ledger.set("issuing-1", leaf.SerialNumber, Status{State: Revoked, RevokedAt: hall.now, Reason: 1})
	}
	ask := request(t, leaf, h.Certificate, crypto.SHA1)
	hall.ask(t, ask)
	if got := hall.ledger.kept["07"].Version; got != 1 {
		t.Fatalf("kept version: got %d, want 1", got)
	}
	if got := h.read(t, hall.ask(t, ask).DER, leaf).Status; got != other.Revoked {
		t.Errorf("after the change: got %d, want revoked", got)
	}
}

// Whatever happens in whatever order, an answer tells the status of now and is
// not older than half its life.
func TestAnswersFollowTheStatus(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	ids := map[int64][]byte{}
	for serial := range int64(3) {
		ids[serial+1] = asking(t, nil, h.id(t, big.NewInt(serial+1)))
	}
	rapid.Check(t, func(t *rapid.T) {
		hall := newHall(t, h)
		want := map[int64]Status{}
		change := func(serial int64) {
			s := Status{State: Good}
			if reason := rapid.SampledFrom([]int{-1, 0, 1, 4, 5, 6}).Draw(t, "reason"); reason >= 0 {
				s = Status{State: Revoked, Reason: reason, RevokedAt: hall.now}
			}
			want[serial] = s
			hall.ledger.set("issuing-1", big.NewInt(serial), s)
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			serial := rapid.Int64Range(1, 3).Draw(t, "serial")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				change(serial)
			case 1: // amid the keeping of an answer
				hall.ledger.meanwhile = func() { hall.ledger.meanwhile = nil; change(serial) }
				hall.ask(t, ids[serial])
				hall.ledger.meanwhile = nil
			case 2:
				hall.now = hall.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hours")) * time.Hour)
			case 3:
				if err := hall.Presign(t.Context(), "issuing-1", Serial(big.NewInt(serial))); (err == nil) != (want[serial].State != Unknown) {
					t.Fatalf("Presign: %v", err)
				}
			case 4:
				answer := hall.ask(t, ids[serial])
				response, err := other.ParseResponse(answer.DER, h.Certificate)
				if err != nil {
					t.Fatal(err)
				}
				expected := map[State]int{Unknown: other.Unknown, Good: other.Good, Revoked: other.Revoked}[want[serial].State]
				if response.Status != expected || expected == other.Revoked && (response.RevocationReason != want[serial].Reason || !response.RevokedAt.Equal(want[serial].RevokedAt)) {
					t.Fatalf("got %d for %d, want %+v", response.Status, response.RevocationReason, want[serial])
				}
				if age := hall.now.Sub(response.ThisUpdate); age < 0 || age >= 12*time.Hour {
					t.Fatalf("age: got %v", age)
				}
			}
		}
	})
}
