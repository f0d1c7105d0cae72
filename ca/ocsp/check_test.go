package ocsp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	other "golang.org/x/crypto/ocsp"
)

// TestCheckOurs: what our responder says is what is read of it.
func TestCheckOurs(t *testing.T) {
	t.Parallel()
	for kind, house := range map[string]house{
		"EC":  newHouse(t, "issuing-1", ecKey(t), ecKey(t)),
		"RSA": newHouse(t, "issuing-1", rsaKey(t), rsaKey(t)),
	} {
		h := newHall(t, house)
		for name, tc := range map[string]struct {
			status Status
			nonce  []byte
		}{
			"good":                  {status: Status{State: Good}},
			"good, nonce":           {status: Status{State: Good}, nonce: []byte("0123456789abcdef")},
			"revoked":               {status: Status{State: Revoked, RevokedAt: noon().Add(-time.Hour), Reason: 1}},
			"revoked, no reason":    {status: Status{State: Revoked, RevokedAt: noon().Add(-time.Hour)}, nonce: []byte("n")},
			"never issued":          {},
			"never issued, a nonce": {nonce: []byte("n")},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				serial, _ := new(big.Int).SetString("1234"+Serial(new(big.Int).SetBytes([]byte(name))), 16)
				leaf := house.leaf(t, serial)
				if tc.status.State != Unknown {
					h.ledger.set("issuing-1", leaf.SerialNumber, tc.status)
				}
				q := Question{Certificate: leaf, Issuer: house.Certificate, Nonce: tc.nonce}
				request, err := q.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				got, err := Check(h.ask(t, request).DER, q)
				if err != nil {
					t.Fatal(err)
				}
				want := Verdict{
					Status: tc.status, ProducedAt: h.now, ThisUpdate: h.now, NextUpdate: h.now.Add(24 * time.Hour),
					ArchiveCutoff: house.Certificate.NotBefore, Responder: house.Responder, NoCheck: true, Echoed: tc.nonce != nil,
				}
				if tc.status.State == Unknown {
					want.NextUpdate, want.ArchiveCutoff = time.Time{}, time.Time{}
				}
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Status{}, "Version")); diff != "" {
					t.Errorf("got (+), want (-):\n%s", diff)
				}
			})
		}
	}
}

// TestCheckForeign: answers that golang.org/x/crypto/ocsp made, good and bad.
func TestCheckForeign(t *testing.T) {
	t.Parallel()
	house, stranger := newHouse(t, "issuing-1", ecKey(t), ecKey(t)), newHouse(t, "issuing-1", ecKey(t), rsaKey(t))
	leaf, neighbour := house.leaf(t, big.NewInt(77)), house.leaf(t, big.NewInt(78))
	now := noon()
	key := ecKey(t)
	delegate := func(change func(*x509.Certificate)) *x509.Certificate {
		c := responderTemplate(now)
		change(c)
		return certify(t, c, house.Certificate, key, house.key)
	}
	answer := func(about, responder *x509.Certificate, key crypto.Signer, change func(*other.Response)) []byte {
		r := other.Response{Status: other.Good, SerialNumber: about.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Certificate: responder}
		if change != nil {
			change(&r)
		}
		der, err := other.CreateResponse(house.Certificate, responder, r, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	fit := delegate(func(*x509.Certificate) {})
	for name, tc := range map[string]struct {
		der  []byte
		good bool
	}{
		"of the issuer itself":         {answer(leaf, house.Certificate, house.key, func(r *other.Response) { r.Certificate = nil }), true},
		"of the issuer, with its own":  {answer(leaf, house.Certificate, house.key, nil), true},
		"of a delegate":                {answer(leaf, fit, key, nil), true},
		"of a delegate, SHA-256 names": {answer(leaf, fit, key, func(r *other.Response) { r.IssuerHash = crypto.SHA256 }), true},
		"of a delegate, SHA-512":       {answer(leaf, fit, key, func(r *other.Response) { r.SignatureAlgorithm = x509.ECDSAWithSHA512 }), true},
		"about another certificate":    {answer(neighbour, fit, key, nil), false},
		"of a delegate that is absent": {answer(leaf, fit, key, func(r *other.Response) { r.Certificate = nil }), false},
		"of another authority":         {answer(leaf, stranger.Responder, stranger.Signer, nil), false},
		"signed with another key":      {answer(leaf, fit, house.key, nil), false},
		"of no delegate":               {answer(leaf, delegate(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), key, nil), false},
		"of a server":                  {answer(leaf, delegate(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), key, nil), false},
		"of a delegate that expired":   {answer(leaf, delegate(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }), key, nil), false},
		"of a delegate to come":        {answer(leaf, delegate(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }), key, nil), false},
		"tryLater":                     {failure(tryLater).DER, false},
		"unauthorized":                 {failure(unauthorized).DER, false},
		"a web page":                   {[]byte("<html>"), false},
		"nothing":                      {nil, false},
		"too long":                     {append(answer(leaf, fit, key, nil), make([]byte, MaxAnswer)...), false},
		"followed by something":        {append(answer(leaf, fit, key, nil), 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Check(tc.der, Question{Certificate: leaf, Issuer: house.Certificate, Nonce: []byte("ignored")})
			switch {
			case tc.good && err != nil:
				t.Errorf("Check: %v", err)
			case tc.good && (got.State != Good || got.Echoed || !got.ThisUpdate.Equal(now)):
				t.Errorf("got %+v, want a good status without nonce", got)
			case !tc.good && !errors.Is(err, ErrAnswer):
				t.Errorf("got %+v, %v, want %v", got, err, ErrAnswer)
			}
		})
	}
	var protocol *ProtocolError
	if _, err := Check(failure(tryLater).DER, Question{Certificate: leaf, Issuer: house.Certificate}); !errors.As(err, &protocol) || protocol.Status != tryLater {
		t.Errorf("got %v, want a ProtocolError of %d", err, tryLater)
	}
}

// TestCheckNonce: an answer to another's question is none to ours.
func TestCheckNonce(t *testing.T) {
	t.Parallel()
	house := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	h, leaf := newHall(t, house), house.leaf(t, big.NewInt(77))
	h.ledger.set("issuing-1", leaf.SerialNumber, Status{State: Good})
	answer := h.ask(t, asking(t, []byte("theirs"), house.id(t, leaf.SerialNumber))).DER
	if _, err := Check(answer, Question{Certificate: leaf, Issuer: house.Certificate, Nonce: []byte("ours")}); !errors.Is(err, ErrAnswer) {
		t.Errorf("got %v, want %v", err, ErrAnswer)
	}
	if v, err := Check(answer, Question{Certificate: leaf, Issuer: house.Certificate}); err != nil || v.Echoed {
		t.Errorf("got %+v, %v, want a verdict whose nonce is not ours", v, err)
	}
}

// TestCheckMutations: no answer that was changed anywhere says anything else.
func TestCheckMutations(t *testing.T) {
	t.Parallel()
	house := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	h, leaf := newHall(t, house), house.leaf(t, big.NewInt(77))
	h.ledger.set("issuing-1", leaf.SerialNumber, Status{State: Revoked, RevokedAt: noon(), Reason: 4})
	q := Question{Certificate: leaf, Issuer: house.Certificate, Nonce: []byte("0123456789abcdef")}
	request, err := q.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	answer := h.ask(t, request).DER
	want, err := Check(answer, q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range answer {
		for _, flip := range []byte{1, 0x80, 0xff} {
			changed := bytes.Clone(answer)
			changed[i] ^= flip
			got, err := Check(changed, q)
			if err == nil && !cmp.Equal(want, got) {
				t.Errorf("octet %d ^ %#x: got %+v, want a refusal or %+v", i, flip, got, want)
			}
		}
	}
}

// FuzzCheck: what is accepted is right for golang.org/x/crypto/ocsp as well.
func FuzzCheck(f *testing.F) {
	house := newHouse(f, "issuing-1", ecKey(f), ecKey(f))
	h, leaf := newHall(f, house), house.leaf(f, big.NewInt(77))
	h.ledger.set("issuing-1", leaf.SerialNumber, Status{State: Good})
	f.Add(h.ask(f, asking(f, []byte("n"), house.id(f, leaf.SerialNumber))).DER)
	f.Add(failure(tryLater).DER)
	f.Fuzz(func(t *testing.T, der []byte) {
		v, err := Check(der, Question{Certificate: leaf, Issuer: house.Certificate})
		if err != nil {
			return
		}
		r, err := other.ParseResponseForCert(der, leaf, house.Certificate)
		if err != nil || r.Status != other.Good || v.State != Good {
			t.Errorf("got %+v, x/crypto/ocsp reads %+v, %v", v, r, err)
		}
	})
}
