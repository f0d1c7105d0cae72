package ocsp

import (
	"crypto"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
)

// BouncyCastle judges the answers: signature, delegation, dates, status, nonce.
func TestBouncyCastle(t *testing.T) {
	t.Parallel()
	for kind, h := range map[string]house{
		"EC":  newHouse(t, "issuing-1", ecKey(t), ecKey(t)),
		"RSA": newHouse(t, "issuing-1", rsaKey(t), rsaKey(t)),
	} {
		hall := newHall(t, h)
		ago := hall.now.Add(-time.Hour)
		hall.ledger.set("issuing-1", big.NewInt(11), Status{State: Good})
		hall.ledger.set("issuing-1", big.NewInt(12), Status{State: Revoked, RevokedAt: ago, Reason: 1})
		hall.ledger.set("issuing-1", big.NewInt(13), Status{State: Revoked, RevokedAt: ago, Reason: 6})
		tomorrow, sha1 := hall.now.Add(24*time.Hour), oidSHA1()
		for name, c := range map[string]struct {
			serial  int64
			request []byte
			want    bouncycastle.OCSPAnswer
		}{
			"good": {11, asking(t, nil, h.id(t, big.NewInt(11))), bouncycastle.OCSPAnswer{Status: "good", NextUpdate: tomorrow, CertIDHash: sha1}},
			"good, SHA-256": {11, request(t, h.leaf(t, big.NewInt(11)), h.Certificate, crypto.SHA256), bouncycastle.OCSPAnswer{
				Status: "good", NextUpdate: tomorrow, CertIDHash: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1},
			}},
			"revoked": {12, asking(t, []byte("nonce"), h.id(t, big.NewInt(12))), bouncycastle.OCSPAnswer{
				Status: "revoked", RevokedAt: ago, Reason: 1, Nonce: []byte("nonce"), NextUpdate: tomorrow, CertIDHash: sha1,
			}},
			"suspended": {13, asking(t, nil, h.id(t, big.NewInt(13))), bouncycastle.OCSPAnswer{
				Status: "revoked", RevokedAt: ago, Reason: 6, NextUpdate: tomorrow, CertIDHash: sha1,
			}},
			"never issued": {14, asking(t, nil, h.id(t, big.NewInt(14))), bouncycastle.OCSPAnswer{Status: "unknown", CertIDHash: sha1}},
		} {
			answer := hall.ask(t, c.request)
			got, err := bouncycastle.OCSP(t, bouncycastle.OCSPQuestion{
				Response: answer.DER, Serial: big.NewInt(c.serial), Issuer: h.Certificate, Root: h.Certificate, At: hall.now,
			})
			if err != nil {
				t.Errorf("%s, %s: %v", kind, name, err)
				continue
			}
			c.want.ProducedAt, c.want.ThisUpdate, c.want.Responder = hall.now, hall.now, h.Responder
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", kind, name, diff)
			}
		}
	}
}
