package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	other "golang.org/x/crypto/ocsp"
)

var errBroken = errors.New("broken")

// OCSP's errors, in the words of golang.org/x/crypto/ocsp.
const (
	isMalformed    = "ocsp: error from server: malformed"
	isInternal     = "ocsp: error from server: internal error"
	isTryLater     = "ocsp: error from server: try later"
	isUnauthorized = "ocsp: error from server: unauthorized"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	for kind, h := range map[string]house{
		"EC":            newHouse(t, "issuing-1", ecKey(t), ecKey(t)),
		"RSA":           newHouse(t, "issuing-1", rsaKey(t), rsaKey(t)),
		"EC under RSA":  newHouse(t, "issuing-1", rsaKey(t), ecKey(t)),
		"shared by two": newHouse(t, "issuing-1", ecKey(t), ecKey(t)),
	} {
		leaf := h.leaf(t, big.NewInt(0x0badcafe))
		ago := noon().Add(-time.Hour)
		for name, c := range map[string]struct {
			status Status
			want   int
			reason int
		}{
			"good":        {Status{State: Good}, other.Good, 0},
			"revoked":     {Status{State: Revoked, RevokedAt: ago, Reason: 1}, other.Revoked, other.KeyCompromise},
			"unspecified": {Status{State: Revoked, RevokedAt: ago}, other.Revoked, other.Unspecified},
			"hold":        {Status{State: Revoked, RevokedAt: ago, Reason: 6}, other.Revoked, other.CertificateHold},
		} {
			for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				hall := newHall(t, h)
				hall.ledger.set("issuing-1", leaf.SerialNumber, c.status)
				answer := hall.ask(t, request(t, leaf, h.Certificate, hash))
				got := h.read(t, answer.DER, leaf)
				if got.Status != c.want || c.want == other.Revoked && (got.RevocationReason != c.reason || !got.RevokedAt.Equal(ago)) {
					t.Errorf("%s, %s, %v: got %d at %v for %d, want %d for %d", kind, name, hash, got.Status, got.RevokedAt, got.RevocationReason, c.want, c.reason)
				}
				if !got.ThisUpdate.Equal(hall.now) || !got.NextUpdate.Equal(hall.now.Add(24*time.Hour)) || !got.ProducedAt.Equal(hall.now) || got.IssuerHash != hash {
					t.Errorf("%s, %s: got %v to %v, made %v, by %v", kind, name, got.ThisUpdate, got.NextUpdate, got.ProducedAt, got.IssuerHash)
				}
				want := Answer{DER: answer.DER, Serial: "0badcafe", ThisUpdate: hall.now, NextUpdate: hall.now.Add(24 * time.Hour), Cacheable: true}
				if diff := cmp.Diff(want, answer); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", kind, name, diff)
				}
				if diff := cmp.Diff(keyHash(t, h.Responder), got.ResponderKeyHash); diff != "" {
					t.Errorf("%s: responder (-want +got):\n%s", kind, diff)
				}
				cutoff := got.Extensions
				var at time.Time
				if len(cutoff) != 1 || !cutoff[0].Id.Equal(oidArchiveCutoff()) || cutoff[0].Critical {
					t.Fatalf("%s: got extensions %v, want archiveCutoff alone", kind, cutoff)
				}
				if _, err := asn1.Unmarshal(cutoff[0].Value, &at); err != nil || !at.Equal(h.Certificate.NotBefore) {
					t.Errorf("%s: archiveCutoff: got %v, %v, want %v", kind, at, err, h.Certificate.NotBefore)
				}
			}
		}
	}
}

func keyHash(t *testing.T, c *x509.Certificate) []byte {
	t.Helper()
	bits, err := publicKeyBits(c)
	if err != nil {
		t.Fatal(err)
	}
	h := crypto.SHA1.New()
	h.Write(bits)
	return h.Sum(nil)
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	hall := newHall(t, h)
	for _, serial := range []*big.Int{big.NewInt(7), big.NewInt(0), big.NewInt(-7), new(big.Int).Lsh(big.NewInt(1), 8000)} {
		answer := hall.ask(t, asking(t, nil, h.id(t, serial)))
		response, err := other.ParseResponse(answer.DER, h.Certificate)
		if err != nil || response.Status != other.Unknown || !response.NextUpdate.IsZero() || response.SerialNumber.Cmp(serial) != 0 {
			t.Errorf("%v: got %+v, %v, want unknown without a next update", serial, response, err)
		}
		if diff := cmp.Diff(Answer{DER: answer.DER}, answer); diff != "" || len(hall.ledger.kept) != 0 {
			t.Errorf("%v: an unknown certificate's answer is kept, or to be cached:\n%s", serial, diff)
		}
	}
}

func TestNonce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	hall := newHall(t, h)
	hall.ledger.set("issuing-1", big.NewInt(7), Status{State: Good})
	for _, length := range []int{1, 32, 128} {
		nonce := make([]byte, length)
		rand.Read(nonce)
		answer := hall.ask(t, asking(t, nonce, h.id(t, big.NewInt(7))))
		if _, err := other.ParseResponse(answer.DER, h.Certificate); err != nil {
			t.Errorf("%d octets: %v", length, err)
		}
		var want cryptobyte.Builder
		want.AddASN1(tag(1), func(b *cryptobyte.Builder) { addNonce(b, nonce) })
		if !bytes.Contains(answer.DER, want.BytesOrPanic()) || answer.Cacheable || len(hall.ledger.kept) != 0 {
			t.Errorf("%d octets: not echoed, or kept: %x", length, answer.DER)
		}
	}
}

// singles reads the CertIDs and statuses of an answer.
func singles(t *testing.T, answer []byte) []string {
	t.Helper()
	var outer struct {
		Status   asn1.Enumerated
		Response struct {
			Type asn1.ObjectIdentifier
			DER  []byte
		} `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(answer, &outer); err != nil {
		t.Fatal(err)
	}
	input := cryptobyte.String(outer.Response.DER)
	var basic, data, list cryptobyte.String
	if !input.ReadASN1(&basic, der.SEQUENCE) || !basic.ReadASN1(&data, der.SEQUENCE) || !data.SkipASN1(tag(2)) || !data.SkipASN1(der.GeneralizedTime) || !data.ReadASN1(&list, der.SEQUENCE) {
		t.Fatalf("not a response: %x", answer)
	}
	var found []string
	for !list.Empty() {
		var one, id, status cryptobyte.String
		var kind der.Tag
		if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1Element(&id, der.SEQUENCE) || !one.ReadAnyASN1(&status, &kind) {
			t.Fatalf("not a SingleResponse: %x", one)
		}
		parsed, err := parseCertID(id) // as it was sent
		if err != nil {
			t.Fatal(err)
		}
		names := map[der.Tag]string{0x80: "good", 0xa1: "revoked", 0x82: "unknown"}
		found = append(found, Serial(parsed.Serial)+" "+names[kind])
	}
	return found
}

// Two issuing authorities at once: each question is answered by the responder
// of its own, and an answer is of one of them.
func TestRollover(t *testing.T) {
	t.Parallel()
	old, young := newHouse(t, "issuing-1", ecKey(t), ecKey(t)), newHouse(t, "issuing-2", rsaKey(t), rsaKey(t))
	foreign := newHouse(t, "another's", ecKey(t), ecKey(t))
	hall := newHall(t, old, young)
	hall.ledger.set("issuing-1", big.NewInt(1), Status{State: Good})
	hall.ledger.set("issuing-1", big.NewInt(2), Status{State: Revoked, RevokedAt: hall.now})
	hall.ledger.set("issuing-2", big.NewInt(3), Status{State: Good})
	for serial, h := range map[int64]house{1: old, 3: young} {
		leaf := h.leaf(t, big.NewInt(serial))
		if got := h.read(t, hall.ask(t, request(t, leaf, h.Certificate, crypto.SHA1)).DER, leaf).Status; got != other.Good {
			t.Errorf("%s: got %d, want good", h.Name, got)
		}
	}
	for name, c := range map[string]struct {
		ids  []CertID
		want []string
		by   house
	}{
		"several of one":     {[]CertID{old.id(t, big.NewInt(1)), old.id(t, big.NewInt(2)), old.id(t, big.NewInt(9))}, []string{"01 good", "02 revoked", "09 unknown"}, old},
		"one twice":          {[]CertID{old.id(t, big.NewInt(1)), old.id(t, big.NewInt(1))}, []string{"01 good", "01 good"}, old},
		"of both, old first": {[]CertID{old.id(t, big.NewInt(1)), young.id(t, big.NewInt(3))}, []string{"01 good", "03 unknown"}, old},
		"of both, new first": {[]CertID{young.id(t, big.NewInt(3)), old.id(t, big.NewInt(1))}, []string{"03 good", "01 unknown"}, young},
		"a foreign one":      {[]CertID{foreign.id(t, big.NewInt(1)), young.id(t, big.NewInt(3))}, []string{"01 unknown", "03 good"}, young},
		"serial of another":  {[]CertID{young.id(t, big.NewInt(1))}, []string{"01 unknown"}, young},
	} {
		answer := hall.ask(t, asking(t, nil, c.ids...))
		if diff := cmp.Diff(c.want, singles(t, answer.DER)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !bytes.Contains(answer.DER, c.by.Responder.Raw) || answer.Cacheable {
			t.Errorf("%s: signed by another than %s, or to be cached", name, c.by.Name)
		}
	}
	asked := hall.ledger.asked
	if got := protocol(hall.ask(t, asking(t, nil, foreign.id(t, big.NewInt(1)))).DER); got != isUnauthorized || hall.ledger.asked != asked {
		t.Errorf("foreign: got %s, want %s", got, isUnauthorized)
	}
	md5 := draft{list: certificate(md5NULL, 16, 16, "01", "")}.der(t)
	if got := protocol(hall.ask(t, md5).DER); got != isUnauthorized {
		t.Errorf("unknown hash: got %s, want %s", got, isUnauthorized)
	}
}

func TestMalformedIsSaidSo(t *testing.T) {
	t.Parallel()
	hall := newHall(t, newHouse(t, "issuing-1", ecKey(t), ecKey(t)))
	for name, request := range malformedDrafts(t) {
		if got := protocol(hall.ask(t, request).DER); got != isMalformed {
			t.Errorf("%s: got %s, want %s", name, got, isMalformed)
		}
	}
}

// unwell is a key whose token fails or lies.
type unwell struct {
	crypto.Signer
	err error
}

func (u unwell) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if u.err != nil {
		return nil, u.err
	}
	signature, err := u.Signer.Sign(r, digest, opts)
	signature[len(signature)-1] ^= 1
	return signature, err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	reissue := func(key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
		template := responderTemplate(noon())
		change(template)
		return certify(t, template, h.Certificate, key, h.key)
	}
	impostor := newHouse(t, "issuing-1", ecKey(t), h.Signer)
	for name, c := range map[string]struct {
		change func(*hall)
		want   string
		cause  error
	}{
		"clock not trusted": {func(h *hall) { h.clock = errBroken }, isTryLater, errBroken},
		"statuses broken":   {func(h *hall) { h.ledger.broken = errBroken }, isTryLater, errBroken},
		"token fails":       {func(h *hall) { h.issuers[0].Signer = unwell{h.issuers[0].Signer, errBroken} }, isTryLater, errBroken},
		"token lies":        {func(h *hall) { h.issuers[0].Signer = unwell{h.issuers[0].Signer, nil} }, isInternal, errInternal},
		"no responder":      {func(h *hall) { h.issuers[0].Responder = nil }, isTryLater, errResponder},
		"no key":            {func(h *hall) { h.issuers[0].Signer = nil }, isTryLater, errResponder},
		"another's key":     {func(h *hall) { h.issuers[0].Signer = ecKey(t) }, isTryLater, errResponder},
		"expired":           {func(h *hall) { h.now = h.now.AddDate(0, 2, 0) }, isTryLater, errResponder},
		"not valid yet":     {func(h *hall) { h.now = h.now.AddDate(0, -1, -1) }, isTryLater, errResponder},
		"another authority": {func(h *hall) { h.issuers[0].Responder = impostor.Responder }, isTryLater, errResponder},
		"the authority":     {func(o *hall) { o.issuers[0].Responder, o.issuers[0].Signer = h.Certificate, h.key }, isTryLater, errResponder},
		"no EKU": {func(o *hall) {
			o.issuers[0].Responder = reissue(h.Signer, func(c *x509.Certificate) { c.ExtKeyUsage = nil })
		}, isTryLater, errResponder},
		"no key usage": {func(o *hall) {
			o.issuers[0].Responder = reissue(h.Signer, func(c *x509.Certificate) { c.KeyUsage = 0 })
		}, isTryLater, errResponder},
		"key of a kind that does not sign answers": {func(o *hall) {
			o.issuers[0].Signer, o.issuers[0].Responder = lenient{edwards}, reissue(edwards, func(*x509.Certificate) {})
		}, isTryLater, errResponder},
	} {
		hall := newHall(t, h)
		hall.ledger.set("issuing-1", big.NewInt(7), Status{State: Good})
		c.change(hall)
		answer, err := hall.Answer(t.Context(), asking(t, nil, h.id(t, big.NewInt(7))))
		if got := protocol(answer.DER); got != c.want || !errors.Is(err, c.cause) {
			t.Errorf("%s: got %s because of %v, want %s because of %v", name, got, err, c.want, c.cause)
		}
		if diff := cmp.Diff(Answer{DER: answer.DER}, answer); diff != "" {
			t.Errorf("%s: an error with more than its octets:\n%s", name, diff)
		}
		if err := hall.Presign(t.Context(), "issuing-1", "07"); !errors.Is(err, c.cause) || len(hall.ledger.kept) != 0 {
			t.Errorf("%s: Presign: got %v, want %v", name, err, c.cause)
		}
	}
}

// lenient signs whatever it is told the digest was made with.
type lenient struct{ ed25519.PrivateKey }

func (l lenient) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return ed25519.Sign(l.PrivateKey, digest), nil
}

// No answer outlives the certificate that vouches for it.
func TestLifeEndsWithTheResponder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	hall := newHall(t, h)
	hall.ledger.set("issuing-1", big.NewInt(7), Status{State: Good})
	hall.now = h.Responder.NotAfter.Add(-time.Hour)
	if got := hall.ask(t, asking(t, nil, h.id(t, big.NewInt(7)))).NextUpdate; !got.Equal(h.Responder.NotAfter) {
		t.Errorf("next update: got %v, want %v", got, h.Responder.NotAfter)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "issuing-1", ecKey(t), ecKey(t))
	hall := newHall(t, h)
	leaf := h.leaf(t, big.NewInt(7))
	hall.ledger.set("issuing-1", leaf.SerialNumber, Status{State: Good})
	var wait sync.WaitGroup
	for i := range 32 {
		wait.Go(func() {
			for range 20 {
				answer, err := hall.Answer(t.Context(), request(t, leaf, h.Certificate, []crypto.Hash{crypto.SHA1, crypto.SHA256}[i%2]))
				if err != nil {
					t.Error(err)
				} else if _, err := other.ParseResponseForCert(answer.DER, leaf, h.Certificate); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

// Whatever is sent, what comes back is an OCSP response.
func FuzzAnswer(f *testing.F) {
	h := newHouse(f, "issuing-1", ecKey(f), ecKey(f))
	hall := newHall(f, h)
	hall.ledger.set("issuing-1", big.NewInt(7), Status{State: Good})
	f.Add(asking(f, nil, h.id(f, big.NewInt(7))))
	f.Add(asking(f, []byte("nonce"), h.id(f, big.NewInt(7)), h.id(f, big.NewInt(-8))))
	for _, seed := range malformedDrafts(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		answer, err := hall.Answer(t.Context(), request)
		if err != nil {
			t.Fatalf("Answer: %v", err)
		}
		_, malformed := Parse(request)
		switch said := protocol(answer.DER); {
		case malformed != nil && said != isMalformed, malformed == nil && said == isMalformed:
			t.Fatalf("got %s, but reading it gives %v", said, malformed)
		case said != isMalformed && said != isUnauthorized:
			singles(t, answer.DER)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := newHall(t).c
	for name, change := range map[string]func(*Config){
		"issuers": func(c *Config) { c.Issuers = nil }, "statuses": func(c *Config) { c.Statuses = nil }, "clock": func(c *Config) { c.Now = nil },
		"trust": func(c *Config) { c.Trusted = nil }, "life": func(c *Config) { c.Life = time.Second },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("without %s: got a responder, want an error", name)
		}
	}
}

func BenchmarkAnswerKept(b *testing.B) {
	h := newHouse(b, "issuing-1", ecKey(b), ecKey(b))
	hall := newHall(b, h)
	hall.ledger.set("issuing-1", big.NewInt(7), Status{State: Good})
	ask := asking(b, nil, h.id(b, big.NewInt(7)))
	for b.Loop() {
		hall.ask(b, ask)
	}
}

func BenchmarkAnswerSigned(b *testing.B) {
	h := newHouse(b, "issuing-1", ecKey(b), ecKey(b))
	hall := newHall(b, h)
	hall.ledger.set("issuing-1", big.NewInt(7), Status{State: Good})
	ask := asking(b, []byte{1}, h.id(b, big.NewInt(7)))
	for b.Loop() {
		hall.ask(b, ask)
	}
}
