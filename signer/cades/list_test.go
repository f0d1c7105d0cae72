package cades_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cades"
)

// lister makes lists of one authority.
func lister(tb testing.TB) func(extensions []pkix.Extension, entries ...x509.RevocationListEntry) []byte {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	authority := &x509.Certificate{RawSubject: []byte("\x30\x00"), KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	return func(extensions []pkix.Extension, entries ...x509.RevocationListEntry) []byte {
		tb.Helper()
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Unix(0, 0), NextUpdate: time.Unix(3600, 0),
			ExtraExtensions: extensions, RevokedCertificateEntries: entries,
		}, authority, key)
		must(tb, err)
		return der
	}
}

// TestScope: a list speaks of those whose certificates name it, of their kind.
func TestScope(t *testing.T) {
	t.Parallel()
	list := lister(t)
	const here = "http://ca.example/ca/a.crl"
	name := func(address string) string {
		return "\xa0" + string(rune(len(address)+4)) + "\xa0" + string(rune(len(address)+2)) + "\x86" + string(rune(len(address))) + address
	}
	sequence := func(members ...string) string {
		body := strings.Join(members, "")
		return "\x30" + string(rune(len(body))) + body
	}
	for text, tc := range map[string]struct {
		value     string
		authority bool
		good      bool
	}{
		"its own":                {sequence(name(here)), false, true},
		"its own, users":         {sequence(name(here), "\x81\x01") + "\xff", false, true},
		"another's":              {sequence(name("http://ca.example/ca/b.crl")), false, false},
		"by a relative name":     {sequence("\xa0\x02\xa1\x00"), false, false},
		"no name":                {sequence("\xa0\x00"), false, false},
		"users, of an authority": {"\x30\x03\x81\x01\xff", true, false},
		"authorities":            {"\x30\x03\x82\x01\xff", false, false},
		"authorities, of one":    {"\x30\x03\x82\x01\xff", true, true},
		"some reasons":           {"\x30\x04\x83\x02\x06\x40", false, false},
		"indirect":               {"\x30\x03\x84\x01\xff", false, false},
		"attributes":             {"\x30\x03\x85\x01\xff", false, false},
		"nothing":                {"\x30\x00", false, true},
		"malformed":              {"\x31\x00", false, false},
		"cut":                    {"\x30\x03\x81\x01", false, false},
	} {
		value := []byte(tc.value)
		if text == "its own, users" {
			value[1] = byte(len(value) - 2)
		}
		l, err := cades.ReadList(list([]pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: value}}))
		if err != nil && !errors.Is(err, cades.ErrEvidence) {
			t.Errorf("%s: got %v, want %v", text, err, cades.ErrEvidence)
		}
		c := &x509.Certificate{RawIssuer: []byte("\x30\x00"), CRLDistributionPoints: []string{here}, IsCA: tc.authority}
		if got := err == nil && l.Covers(c); got != tc.good {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, tc.good)
		}
		if err == nil && l.Covers(&x509.Certificate{RawIssuer: []byte("\x30\x01\x00"), CRLDistributionPoints: []string{here}, IsCA: tc.authority}) {
			t.Errorf("%s: it covers another authority's certificate", text)
		}
	}
}

// TestReadList: what a list says of certificates, and lists that say nothing.
func TestReadList(t *testing.T) {
	t.Parallel()
	list := lister(t)
	entry := x509.RevocationListEntry{SerialNumber: big.NewInt(7), RevocationTime: time.Unix(60, 0), ReasonCode: 1}
	since, err := asn1.MarshalWithParams(time.Unix(0, 0).UTC(), "generalized")
	must(t, err)
	l, err := cades.ReadList(list([]pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 60}, Value: since}}, entry))
	must(t, err)
	for serial, want := range map[int64]bool{7: true, 8: false} {
		got, listed, err := l.Entry(&x509.Certificate{SerialNumber: big.NewInt(serial)})
		if err != nil || listed != want || want && got.ReasonCode != 1 {
			t.Errorf("serial number %d: got %+v, %v, %v, want listed: %v", serial, got, listed, err, want)
		}
	}
	for expired, want := range map[int64]bool{-1: false, 0: true, 1: true} {
		if got := l.KeepsExpired(&x509.Certificate{NotAfter: time.Unix(expired, 0)}); got != want {
			t.Errorf("expired at %d: got %v, want %v", expired, got, want)
		}
	}
	for name, kind := range map[string]asn1.ObjectIdentifier{"delta": {2, 5, 29, 27}, "unknown": {1, 2, 3}} {
		for _, critical := range []bool{true, false} {
			_, err := cades.ReadList(list([]pkix.Extension{{Id: kind, Critical: critical, Value: []byte{2, 1, 1}}}))
			if want := critical || name == "delta"; want != errors.Is(err, cades.ErrEvidence) {
				t.Errorf("%s, critical %v: got %v, want an error: %v", name, critical, err, want)
			}
		}
	}
	entry.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}
	l, err = cades.ReadList(list(nil, entry))
	must(t, err)
	if _, _, err := l.Entry(&x509.Certificate{SerialNumber: big.NewInt(8)}); !errors.Is(err, cades.ErrEvidence) {
		t.Errorf("an entry of another authority: got %v, want %v", err, cades.ErrEvidence)
	}
}
