// Package bouncycastle asks BouncyCastle, which shares no code with Go's
// crypto/x509 nor with ours, about certificates, revocation lists, OCSP
// responses, time-stamps and signatures, and PDFBox about the PDFs that these stand
// in. It is for tests only.
//
// Each check gives nil or facts where BouncyCastle says yes, and a *RejectedError
// where it says no, so that a test can demand either. Where it cannot be asked
// at all, because Java or the jars are missing, the test fails.
//
// One Java machine serves a whole test binary: the first check takes about
// a second, the next ones a few milliseconds. Checks may come from tests that
// run in parallel; they take turns.
package bouncycastle

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing" //nolint:depguard // a helper of tests, as the packages internal/*test are
	"time"
)

// RejectedError is BouncyCastle's no.
type RejectedError struct {
	Reason string // its exceptions' names and messages, down to the root cause
}

func (r *RejectedError) Error() string { return "BouncyCastle rejects: " + r.Reason }

// Chain is a certificate with what is needed to judge it.
type Chain struct {
	Root *x509.Certificate
	// Intermediates go from the leaf's issuer up, the root not among them.
	Intermediates []*x509.Certificate
	Leaf          *x509.Certificate
	// CRLs are DER. Where they are nil, revocation is not looked at; where they
	// are not, each certificate below the root needs a list that covers it,
	// with a partition (issuingDistributionPoint) that is its distribution point.
	CRLs [][]byte
	At   time.Time // now, if zero
}

// Path validates a certification path after RFC 5280, section 6.
func Path(tb testing.TB, c Chain) error {
	tb.Helper()
	_, err := check(tb, "path", c.pairs()...)
	return err
}

// RevocationList is what a CRL says.
type RevocationList struct {
	Number     *big.Int
	ThisUpdate time.Time
	NextUpdate time.Time
	// Partition is the address in issuingDistributionPoint, empty where the list
	// covers everything.
	Partition         string
	PartitionCritical bool
	OnlyUser, OnlyCA  bool
	Entries           map[string]Entry // by serial number in lower-case hexadecimal, as big.Int.Text(16)
}

// Entry is a revoked certificate; Reason is a CRLReason, 0 where it says none.
type Entry struct {
	At     time.Time
	Reason int
}

// CRL reads a revocation list (DER) and checks that issuer signed it, that it names
// issuer and its key, and that it has a number.
func CRL(tb testing.TB, der []byte, issuer *x509.Certificate) (*RevocationList, error) {
	tb.Helper()
	a, err := check(tb, "crl", pair{"list", der}, pair{"issuer", issuer.Raw})
	if err != nil {
		return nil, err
	}
	list := &RevocationList{
		Number: a.number("number"), ThisUpdate: a.time("this_update"), NextUpdate: a.time("next_update"),
		Partition: a.text("partition"), PartitionCritical: a.text("partition_critical") == "true",
		OnlyUser: a.text("only_user") == "true", OnlyCA: a.text("only_ca") == "true",
		Entries: map[string]Entry{},
	}
	for _, p := range a.pairs {
		if p.name == "entry" {
			f := strings.Fields(string(p.value))
			list.Entries[f[0]] = Entry{At: a.millis(f[1]), Reason: a.int(f[2])}
		}
	}
	return list, nil
}

// OCSPQuestion is a response and what it has to be about.
type OCSPQuestion struct {
	Response []byte
	Serial   *big.Int // of the certificate asked for
	Issuer   *x509.Certificate
	Root     *x509.Certificate
	// Intermediates stand between Issuer and Root.
	Intermediates []*x509.Certificate
	At            time.Time // now, if zero
}

// OCSPAnswer is what an OCSP response says.
type OCSPAnswer struct {
	// ResponseStatus is OCSPResponseStatus; unless it is 0, successful, there
	// is nothing else.
	ResponseStatus int
	Status         string // good, revoked or unknown
	ProducedAt     time.Time
	ThisUpdate     time.Time
	NextUpdate     time.Time // zero where it says none
	RevokedAt      time.Time
	Reason         int    // CRLReason, 0 where it says none
	Nonce          []byte // nil where there is none
	// Responder is the delegated responder's certificate, nil where the issuer
	// itself signed.
	Responder *x509.Certificate
	// CertIDHash is the hash algorithm that the answer names the certificate by.
	CertIDHash asn1.ObjectIdentifier
}

// OCSP checks a response after RFC 6960: signed by the issuer or by a responder
// that the issuer delegated to (certificate inside, id-kp-OCSPSigning,
// id-pkix-ocsp-nocheck, a path to the root), current, and about the certificate
// asked for. A delegated responder without id-pkix-ocsp-nocheck is rejected: ours
// have it.
func OCSP(tb testing.TB, q OCSPQuestion) (*OCSPAnswer, error) {
	tb.Helper()
	a, err := check(tb, "ocsp", append(certificates("intermediate", q.Intermediates), pair{"response", q.Response},
		pair{"serial", []byte(q.Serial.Text(16))}, pair{"issuer", q.Issuer.Raw}, pair{"root", q.Root.Raw}, at(q.At))...)
	if err != nil {
		return nil, err
	}
	answer := &OCSPAnswer{
		ResponseStatus: a.int(a.text("response_status")), Status: a.text("status"),
		ProducedAt: a.time("produced_at"), ThisUpdate: a.time("this_update"), NextUpdate: a.time("next_update"),
		RevokedAt: a.time("revoked_at"), Reason: a.int(a.text("reason")), Nonce: a.hex("nonce"),
		CertIDHash: a.oid("hash"),
	}
	if der := a.hex("responder"); der != nil {
		if answer.Responder, err = x509.ParseCertificate(der); err != nil {
			tb.Fatalf("parsing the responder's certificate: %v", err)
		}
	}
	return answer, nil
}

// Stamp is a time-stamp and what it is judged by.
type Stamp struct {
	// Response is a TimeStampResp, or else Token a TimeStampToken.
	Response, Token []byte
	// Query, where there is one, is the TimeStampReq that Response has to fit.
	Query []byte
	// Digest, where there is one, is what has to be stamped.
	Digest []byte
	// TSA is used where the token holds no certificate.
	TSA           *x509.Certificate
	Intermediates []*x509.Certificate // from the TSA's issuer up
	Root          *x509.Certificate
	CRLs          [][]byte // as in Chain, at the time of the stamp
}

// StampInfo is what a time-stamp says. Of a response that grants nothing only the
// first three fields are set.
type StampInfo struct {
	Status       int
	FailInfo     int // PKIFailureInfo as BouncyCastle numbers it: bit 0 is 128, bit 14 is 2<<8
	StatusString string

	GenTime      time.Time
	Serial       *big.Int
	Policy       asn1.ObjectIdentifier
	Hash         asn1.ObjectIdentifier
	Ordering     bool
	Nonce        *big.Int // nil where there is none
	Accuracy     time.Duration
	TSA          string
	Certificates int // how many stand inside
}

// TimeStamp checks a time-stamp after RFC 3161 and RFC 5816: the signature,
// signing-certificate-v2, a critical extended key usage of id-kp-timeStamping
// alone, the TSA's path to the root at the time of the stamp, and that the response
// fits the query and the digest.
func TimeStamp(tb testing.TB, s Stamp) (*StampInfo, error) {
	tb.Helper()
	chain := Chain{Root: s.Root, Intermediates: s.Intermediates, Leaf: s.TSA, CRLs: s.CRLs}
	question := chain.pairs()
	for _, p := range []pair{{"response", s.Response}, {"token", s.Token}, {"query", s.Query}, {"digest", s.Digest}} {
		if p.value != nil {
			question = append(question, p)
		}
	}
	a, err := check(tb, "timestamp", question...)
	if err != nil {
		return nil, err
	}
	return &StampInfo{
		Status: a.int(a.text("status")), FailInfo: a.int(a.text("fail_info")), StatusString: a.text("status_string"),
		GenTime: a.time("gen_time"), Serial: a.number("serial"), Policy: a.oid("policy"), Hash: a.oid("hash"),
		Ordering: a.text("ordering") == "true", Nonce: a.number("nonce"), TSA: a.text("tsa"),
		Accuracy:     time.Duration(a.int(a.text("accuracy"))) * time.Microsecond,
		Certificates: a.int(a.text("certificates")),
	}, nil
}

func (c Chain) pairs() []pair {
	pairs := append(certificates("intermediate", c.Intermediates), pair{"root", c.Root.Raw}, at(c.At))
	if c.Leaf != nil {
		pairs = append(pairs, pair{"certificate", c.Leaf.Raw})
	}
	if c.CRLs != nil {
		pairs = append(pairs, pair{name: "revocation"})
	}
	for _, der := range c.CRLs {
		pairs = append(pairs, pair{"crl", der})
	}
	return pairs
}

func certificates(name string, certificates []*x509.Certificate) []pair {
	var pairs []pair
	for _, c := range certificates {
		pairs = append(pairs, pair{name, c.Raw})
	}
	return pairs
}

func at(t time.Time) pair {
	if t.IsZero() {
		t = time.Now()
	}
	return pair{"at", []byte(strconv.FormatInt(t.UnixMilli(), 10))}
}

// answer reads the pairs of an answer. What Judge.java writes is read here, so
// that anything unreadable is a defect of the two and fails the test.
type answer struct {
	tb    testing.TB
	pairs []pair
}

func check(tb testing.TB, name string, question ...pair) (answer, error) {
	tb.Helper()
	a := answer{tb: tb, pairs: ask(tb, append(question, pair{"check", []byte(name)})...)}
	if fault := a.text("fault"); fault != "" {
		tb.Fatalf("BouncyCastle does not understand the question: %s", fault)
	}
	if no := a.text("error"); no != "" {
		return answer{}, fmt.Errorf("%s: %w", name, &RejectedError{Reason: no})
	}
	return a, nil
}

func (a answer) text(name string) string {
	for _, p := range a.pairs {
		if p.name == name {
			return string(p.value)
		}
	}
	return ""
}

func (a answer) int(text string) int {
	a.tb.Helper()
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		a.tb.Fatalf("reading BouncyCastle's answer: %v", err)
	}
	return n
}

func (a answer) millis(text string) time.Time {
	a.tb.Helper()
	return time.UnixMilli(int64(a.int(text))).UTC()
}

func (a answer) time(name string) time.Time {
	a.tb.Helper()
	if text := a.text(name); text != "" {
		return a.millis(text)
	}
	return time.Time{}
}

func (a answer) number(name string) *big.Int {
	n, ok := new(big.Int).SetString(a.text(name), 16)
	if !ok {
		return nil
	}
	return n
}

func (a answer) hex(name string) []byte {
	a.tb.Helper()
	text := a.text(name)
	if text == "" {
		return nil
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		a.tb.Fatalf("reading BouncyCastle's answer: %v", err)
	}
	return b
}

func (a answer) oid(name string) asn1.ObjectIdentifier {
	a.tb.Helper()
	var oid asn1.ObjectIdentifier
	for part := range strings.FieldsFuncSeq(a.text(name), func(r rune) bool { return r == '.' }) {
		oid = append(oid, a.int(part))
	}
	return oid
}
