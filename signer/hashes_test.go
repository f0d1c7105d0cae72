package signer_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// askHashes stores and opens a request of Ana over the hashes of contents.
func (s *spine) askHashes(oid string, hashes ...[]byte) string {
	s.Helper()
	s.requests++
	now := s.clock.Now()
	n := signer.NewRequest{
		Request: signer.Request{
			ID: fmt.Sprintf("request-%d", s.requests), Application: s.app.Application, Identifier: ana, Title: "Contrato", Locale: "es",
			ReturnURL: s.app.ReturnAddresses[0], CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour),
		},
		IdempotencyKey: fmt.Sprint(s.requests), BodyHash: []byte{1}, Contents: make([]signer.NewContent, len(hashes)),
	}
	for i, hash := range hashes {
		sum := sha256.Sum256(hash)
		n.Request.Documents = append(n.Request.Documents, signer.Document{
			Ordinal: i + 1, Name: fmt.Sprint("contrato ", i+1), Format: signer.Hash, Hash: oid, Given: hash, Size: int64(len(hash)), SHA256: sum[:],
		})
	}
	if _, _, err := s.public.AddRequest(s.Context(), n); err != nil {
		s.Fatalf("storing a request: %v", err)
	}
	if err := s.module.Open(s.Context(), n.Request.ID); err != nil {
		s.Fatalf("opening a request: %v", err)
	}
	return n.Request.ID
}

// fixHashes is what the public side does when the page is opened.
func (s *spine) fixHashes(request string, session signer.Session) {
	s.Helper()
	r := must[signer.Request](s.T)(s.public.Request(s.Context(), request))
	fixed := make([]signer.Fixed, len(r.Documents))
	for i, d := range r.Documents {
		fixed[i] = signer.Fixed{Ordinal: d.Ordinal, SigningTime: s.clock.Now().UTC().Truncate(time.Second), Hash: d.Hash, Digest: d.Given}
	}
	if err := s.public.FixDocuments(s.Context(), request, session.Ticket.Hash(), fixed); err != nil {
		s.Fatalf("fixing hashes: %v", err)
	}
}

// consentToHashes is a consent that waits to be spent.
func (s *spine) consentToHashes(oid string, hashes ...[]byte) (string, signer.SAD) {
	s.Helper()
	s.clock.advance(time.Hour) // so that the pace of codes is no matter
	request := s.askHashes(oid, hashes...)
	session := must[signer.Session](s.T)(s.identify(request, ana, password))
	if !session.Certified {
		session = s.certify(session)
	}
	s.fixHashes(request, session)
	s.send(session, signer.ForSignature)
	a := must[signer.Authorised](s.T)(s.module.Authorise(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}))
	return request, a.SAD
}

func digestsOf(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		sum := sha256.Sum256(fmt.Append(nil, "contrato ", i))
		out[i] = sum[:]
	}
	return out
}

// certificateOf is the newest of a citizen.
func (s *spine) certificateOf(dni string) *x509.Certificate {
	s.Helper()
	_, credential, err := s.public.Person(s.Context(), dni)
	if err != nil {
		s.Fatal(err)
	}
	return must[*x509.Certificate](s.T)(x509.ParseCertificate(credential.Certificate.DER))
}

// values checks that each stored value is the key's over its own hash.
func (s *spine) values(request, dni string, scheme cms.Scheme) {
	s.Helper()
	certificate := s.certificateOf(dni)
	for _, d := range must[signer.Request](s.T)(s.public.Request(s.Context(), request)).Documents {
		hash, err := signer.ParseDigest(d.Hash, d.Given)
		if err != nil {
			s.Fatal(err)
		}
		if err := cms.CheckValue(certificate.PublicKey, cms.SignerOpts(hash, scheme, certificate.PublicKey), d.Given, d.CMS); err != nil {
			s.Errorf("hash %d by %s: %v", d.Ordinal, scheme, err)
		}
	}
}

// One consent, one hundred hashes, in two lanes: each has the key's value over
// that very hash, page and SMS had the reference of the hashes, and log says it all.
func TestHundredHashes(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		hashes := digestsOf(100)
		request, sad := s.consentToHashes(signer.SHA256, hashes...)
		r := must[signer.Request](s.T)(s.public.Request(s.Context(), request))
		if got, want := s.phone.last().Reference, r.Reference(); got != want || len(got) != 4 {
			s.Errorf("SMS shows %q, page %q", got, want)
		}
		if err := s.module.SignHashes(s.Context(), signer.HashOrder{SAD: sad}); err != nil {
			s.Fatalf("signing: %v", err)
		}
		s.invariants()
		s.values(request, ana, cms.PKCS1v15)
		s.wants(s.module.SignHashes(s.Context(), signer.HashOrder{SAD: sad}), policies.AuthorisationInvalid)
	})
}

// RSA keys sign hashes by the scheme that is asked for, whatever the
// deployment's own is; each algorithm's hashes have their length.
func TestHashSchemes(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	config := s.module.Config
	config.KeyAlgorithm, config.RSAScheme = "rsa-3072", cms.PSS
	s.module = signer.New(config)
	s.activate(ana, anaPhone)
	long := sha512.Sum512([]byte("uno"))
	middle := sha512.Sum384([]byte("uno"))
	for _, test := range []struct {
		asked, made cms.Scheme
		oid         string
		hash        []byte
	}{
		{"", cms.PKCS1v15, signer.SHA256, digestsOf(1)[0]},
		{cms.PKCS1v15, cms.PKCS1v15, signer.SHA512, long[:]},
		{cms.PSS, cms.PSS, signer.SHA384, middle[:]},
	} {
		request, sad := s.consentToHashes(test.oid, test.hash)
		if err := s.module.SignHashes(t.Context(), signer.HashOrder{SAD: sad, Scheme: test.asked}); err != nil {
			t.Fatalf("%q: %v", test.asked, err)
		}
		s.values(request, ana, test.made)
	}
	s.invariants()
}

// What cannot be is refused before the consent is used up.
func TestHashOrdersRefused(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	hash := digestsOf(1)[0]
	request, sad := s.consentToHashes(signer.SHA256, hash)
	lent := s.keys.lent.Load()
	for name, test := range map[string]struct {
		order signer.HashOrder
		code  policies.Code
	}{
		"scheme":            {signer.HashOrder{Scheme: "rsassa-none"}, policies.RequestMalformed},
		"no such format":    {signer.HashOrder{Around: []signer.Around{{Format: "xades"}}}, policies.RequestMalformed},
		"a hash in a hash":  {signer.HashOrder{Around: []signer.Around{{Format: signer.Hash}}}, policies.RequestMalformed},
		"another content":   {signer.HashOrder{Around: []signer.Around{{Format: signer.CAdESDetached, Digest: make([]byte, 32)}}}, policies.AuthorisationInvalid},
		"length of another": {signer.HashOrder{Around: []signer.Around{{Format: signer.PAdES, Digest: make([]byte, 48)}}}, policies.DigestRefused},
		"unknown policy":    {signer.HashOrder{Around: []signer.Around{{Format: signer.CAdESDetached, Attributes: signer.Attributes{Policy: "x"}}}}, policies.RequestMalformed},
	} {
		test.order.SAD = sad
		s.refused(name, s.module.SignHashes(t.Context(), test.order), test.code)
		s.unsigned(name, request, lent)
	}
	if err := s.module.SignHashes(t.Context(), signer.HashOrder{SAD: sad}); err != nil {
		t.Errorf("as it should be: %v", err)
	}

	_, whole := s.consent(ana, password, "un documento")
	s.refused("not a consent over hashes", s.module.SignHashes(t.Context(), signer.HashOrder{SAD: whole}), policies.RequestMalformed)
}

// Of a length that its algorithm does not have, no code is sent.
func TestHashLengths(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	for oid, bytes := range map[string]int{signer.SHA256: 48, signer.SHA384: 32, signer.SHA512: 48, "1.3.14.3.2.26": 20} {
		request := s.askHashes(oid, make([]byte, bytes))
		session := must[signer.Session](t)(s.identify(request, ana, password))
		if !session.Certified {
			session = s.certify(session)
		}
		s.fixHashes(request, session)
		_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
		s.wants(err, policies.DigestRefused)
	}
}

// A given hash that is exchanged after the consent signs nothing; one that is
// exchanged before it cannot be fixed.
func TestAlteredHashes(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	request, sad := s.consentToHashes(signer.SHA256, digestsOf(2)...)
	in := s.insider()
	in.keep("before")
	lent := s.keys.lent.Load()
	for name, sql := range map[string]string{
		"given and digest":  `UPDATE documents SET given = decode(repeat('00', 32), 'hex'), digest = decode(repeat('00', 32), 'hex') WHERE request_id = $1 AND ordinal = 1`,
		"as a document":     `UPDATE documents SET format = 'cades-detached' WHERE request_id = $1`,
		"exchanged":         `UPDATE documents d SET given = o.given, digest = o.digest FROM documents o WHERE d.request_id = $1 AND o.request_id = $1 AND o.ordinal = 3 - d.ordinal`,
		"another algorithm": `UPDATE documents SET hash = '` + signer.SHA512 + `' WHERE request_id = $1`,
	} {
		in.bring("before")
		in.run(sql, request)
		s.refused(name, s.module.SignHashes(t.Context(), signer.HashOrder{SAD: sad}), policies.AuthorisationInvalid)
		s.unsigned(name, request, lent)
	}
	in.bring("before")
	if err := s.module.SignHashes(t.Context(), signer.HashOrder{SAD: sad}); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

// A signature that is built around a hash holds it as the digest of its content;
// only a PDF's may be another, and the log has both.
func TestBuiltAroundHashes(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	hashes, covered := digestsOf(2), sha256.Sum256([]byte("PDF and dictionary"))
	request, sad := s.consentToHashes(signer.SHA256, hashes...)
	err := s.module.SignHashes(t.Context(), signer.HashOrder{SAD: sad, Around: []signer.Around{
		{Format: signer.CAdESDetached, Attributes: signer.Attributes{MimeType: "text/plain"}},
		{Format: signer.PAdES, Digest: covered[:]},
	}})
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	s.invariants()
	certificate := s.certificateOf(ana)
	for i, d := range must[signer.Request](t)(s.public.Request(t.Context(), request)).Documents {
		if err := cms.Verify(d.CMS, [][]byte{hashes[0], covered[:]}[i], certificate); err != nil {
			t.Errorf("document %d: %v", i+1, err)
		}
	}
	for _, kind := range []string{"sign.intent", "sign.done"} {
		type logged struct {
			Format, Digest, Built string
			BuiltDigest           string `json:"built_digest"`
		}
		var entry struct{ Documents []logged }
		if err := json.Unmarshal(s.payload(kind, request), &entry); err != nil {
			t.Fatal(err)
		}
		for i := range entry.Documents {
			entry.Documents[i].Format = "" // sign.done does not repeat it
		}
		want := []logged{
			{Digest: fmt.Sprintf("%x", hashes[0]), Built: "cades-detached", BuiltDigest: fmt.Sprintf("%x", hashes[0])},
			{Digest: fmt.Sprintf("%x", hashes[1]), Built: "pades", BuiltDigest: fmt.Sprintf("%x", covered)},
		}
		if diff := cmp.Diff(want, entry.Documents); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

// payload is what the log has of a kind and operation.
func (s *spine) payload(kind, operation string) []byte {
	s.Helper()
	return []byte(s.insider().text(`SELECT convert_from(payload, 'UTF8') FROM log_entries WHERE type = $1 AND operation = $2`, kind, operation))
}

// Over the wire nothing of an order is lost.
func TestHashesOverTheWire(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	hash := digestsOf(1)[0]
	request, sad := s.consentToHashes(signer.SHA256, hash)
	order := signer.HashOrder{SAD: sad, Scheme: cms.PKCS1v15, Around: []signer.Around{{Format: signer.CAdESDetached, Digest: hash, Attributes: signer.Attributes{
		MimeType: "text/plain", Commitment: "proof-of-approval", Country: "ES", Locality: "Soria", Policy: signer.PolicyAGE19,
	}}}}
	sign := s.client().SignHashes
	if err := sign(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	s.invariants()
	if got, want := s.state(request), signer.Signed; got != want {
		t.Errorf("state %s, want %s", got, want)
	}
}
