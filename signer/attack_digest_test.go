package signer_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Hash algorithm and length are one thing: whatever else the public side
// writes, no code is sent for it, and nothing is signed.
func TestHashConfusion(t *testing.T) {
	t.Parallel()
	oids := map[string]int{
		signer.SHA256: 32, signer.SHA384: 48, signer.SHA512: 64,
		"2.16.840.1.101.3.4.2.4": 0, "2.16.840.1.101.3.4.2.5": 0, "2.16.840.1.101.3.4.2.6": 0, // SHA-224, SHA-512/224, SHA-512/256
		"2.16.840.1.101.3.4.2.8": 0, "2.16.840.1.101.3.4.2.9": 0, "2.16.840.1.101.3.4.2.10": 0, // SHA3-256, -384, -512
		"1.3.14.3.2.26": 0, "1.2.840.113549.2.5": 0, // SHA-1, MD5
		"": 0, "SHA-256": 0, "2.16.840.1.101.3.4.2.1 ": 0, "2.16.840.1.101.3.4.2.01": 0, "sha256\x01": 0,
	}
	for _, algorithm := range []string{"ec-p256", "ec-p384", "rsa-3072"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			s := newSpine(t, signer.SealedKeeper)
			config := s.module.Config
			config.KeyAlgorithm = algorithm
			s.module = signer.New(config)
			s.activate(ana, anaPhone)
			_, _ = s.consent(ana, password, "primera")
			api := must[*pgx.Conn](t)(pgx.Connect(t.Context(), s.database.API))
			defer api.Close(t.Context()) //nolint:errcheck // the test is over by then
			request := s.ask(ana, "uno")
			session := s.again(request, password)
			s.fix(request, session)
			write := func(oid string, length int) {
				t.Helper()
				_, err := api.Exec(t.Context(), `UPDATE documents SET hash = $2, digest = $3 WHERE request_id = $1`, request, oid, make([]byte, length))
				if err != nil {
					t.Fatalf("writing as the public side: %v", err)
				}
			}
			lent, sent := s.keys.lent.Load(), len(s.phone.sent)
			for oid, right := range oids {
				for _, length := range []int{0, 1, 16, 20, 28, 31, 32, 33, 48, 64, 128} {
					if length == right && right != 0 {
						continue
					}
					what := fmt.Sprintf("%q with %d bytes", oid, length)
					write(oid, length)
					s.clock.advance(time.Second)
					_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
					if !errors.Is(err, policies.Refuse(policies.DigestRefused)) {
						t.Errorf("%s: got %v, want %s", what, err, policies.DigestRefused)
					}
				}
			}
			s.unsigned("confused", request, lent)
			if len(s.phone.sent) != sent {
				t.Errorf("%d codes were sent", len(s.phone.sent)-sent)
			}
			for oid, length := range oids {
				if length == 0 {
					continue
				}
				s.clock.advance(time.Hour)
				request = s.ask(ana, oid)
				session = s.again(request, password)
				s.fix(request, session)
				write(oid, length)
				s.send(session, signer.ForSignature)
				if err := s.sign(session); err != nil {
					t.Errorf("%s with %d bytes: %v", oid, length, err)
				}
				s.invariants() // which verifies it
			}
			_, k, err := s.db.CitizenByIdentifier(t.Context(), ana)
			if err != nil {
				t.Fatalf("reading a citizen: %v", err)
			}
			if _, err := x509.ParsePKIXPublicKey(k.PublicKey); err != nil || k.Algorithm != algorithm {
				t.Errorf("the key is %s, %v; want %s", k.Algorithm, err, algorithm)
			}
		})
	}
}
