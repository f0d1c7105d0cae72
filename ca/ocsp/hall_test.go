package ocsp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	other "golang.org/x/crypto/ocsp"
)

// noon is in the present, for openssl has no other clock.
func noon() time.Time { return time.Now().UTC().Truncate(time.Second) }

func ecKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func rsaKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// certify issues a certificate, by itself if there is no parent.
func certify(tb testing.TB, template, parent *x509.Certificate, key crypto.Signer, by crypto.Signer) *x509.Certificate {
	tb.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func responderTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "OCSP"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 2, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, SubjectKeyId: []byte{2},
		ExtraExtensions: []pkix.Extension{{Id: oid{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}},
	}
}

// house is an issuing authority with its responder.
type house struct {
	Issuer
	key crypto.Signer
}

func newHouse(tb testing.TB, name string, key, responder crypto.Signer) house {
	tb.Helper()
	now := noon()
	ca := certify(tb, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
	}, nil, key, key)
	delegated := certify(tb, responderTemplate(now), ca, responder, key)
	return house{key: key, Name: name, Certificate: ca, Signer: responder, Responder: delegated}
}

func (h house) leaf(tb testing.TB, serial *big.Int) *x509.Certificate {
	tb.Helper()
	return certify(tb, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "ciudadana"}, NotBefore: noon().AddDate(0, -1, 0), NotAfter: noon().AddDate(3, 0, 0),
	}, h.Certificate, ecKey(tb), h.key)
}

// ledger keeps statuses and answers in memory. Before an answer is kept,
// meanwhile may do what another process does.
type ledger struct {
	mu        sync.Mutex
	statuses  map[string]Status // by issuer and serial
	kept      map[string]Kept
	asked     int
	broken    error
	unkept    error
	meanwhile func()
}

func (l *ledger) set(issuer string, serial *big.Int, s Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Version = l.statuses[issuer+Serial(serial)].Version + 1
	l.statuses[issuer+Serial(serial)] = s
}

func (l *ledger) Status(_ context.Context, issuer string, serials []string) (map[string]Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	found := map[string]Status{}
	for _, s := range serials {
		if status, ok := l.statuses[issuer+s]; ok {
			found[s] = status
		}
	}
	return found, l.broken
}

func (l *ledger) Kept(_ context.Context, serial string) (Kept, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept[serial], nil
}

func (l *ledger) Keep(_ context.Context, k Kept) error {
	if l.meanwhile != nil {
		l.meanwhile()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unkept == nil && k.Version >= l.kept[k.Serial].Version {
		l.kept[k.Serial] = k
	}
	return l.unkept
}

// hall is a responder with all around it.
type hall struct {
	*Responder
	ledger  *ledger
	issuers []Issuer
	now     time.Time
	clock   error
}

// teller is what tests, benchmarks and rapid have in common.
type teller interface {
	Helper()
	Fatal(arguments ...any)
	Fatalf(format string, arguments ...any)
	Context() context.Context
}

func newHall(tb teller, houses ...house) *hall {
	tb.Helper()
	h := &hall{ledger: &ledger{statuses: map[string]Status{}, kept: map[string]Kept{}}, now: noon()}
	for _, house := range houses {
		h.issuers = append(h.issuers, house.Issuer)
	}
	var err error
	h.Responder, err = New(Config{
		Issuers: func() []Issuer { return h.issuers }, Statuses: h.ledger, Life: 24 * time.Hour,
		Now: func() time.Time { return h.now }, Trusted: func(context.Context) error { return h.clock },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func (h *hall) ask(tb teller, request []byte) Answer {
	tb.Helper()
	answer, err := h.Answer(tb.Context(), request)
	if err != nil {
		tb.Fatalf("Answer: %v", err)
	}
	return answer
}

// request asks as golang.org/x/crypto/ocsp does.
func request(tb testing.TB, leaf, issuer *x509.Certificate, hash crypto.Hash) []byte {
	tb.Helper()
	der, err := other.CreateRequest(leaf, issuer, &other.RequestOptions{Hash: hash})
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// asking makes a request of CertIDs and a nonce.
func asking(tb testing.TB, nonce []byte, ids ...CertID) []byte {
	tb.Helper()
	der, err := (&Request{Certificates: ids, Nonce: nonce}).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func (h house) id(tb testing.TB, serial *big.Int) CertID {
	tb.Helper()
	id, err := h.certID(serial)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// read has golang.org/x/crypto/ocsp read and verify an answer.
func (h house) read(tb testing.TB, der []byte, leaf *x509.Certificate) *other.Response {
	tb.Helper()
	response, err := other.ParseResponseForCert(der, leaf, h.Certificate)
	if err != nil {
		tb.Fatalf("x/crypto/ocsp: %v\n%x", err, der)
	}
	if !bytes.Equal(response.Certificate.Raw, h.Responder.Raw) {
		tb.Error("the responder's certificate is not in the answer")
	}
	return response
}

// protocol is the status of an answer as a foreign reader has it.
func protocol(der []byte) string {
	_, err := other.ParseResponse(der, nil)
	return fmt.Sprint(err)
}

var _ Statuses = (*ledger)(nil)
