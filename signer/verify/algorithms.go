package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"
)

// Algorithms says until when an algorithm may be relied on. It is data: a
// deployment may have its own.
type Algorithms struct {
	// Source is the norm, as the report names it.
	Source string `json:"source"`
	// Digests are hash functions by name, Keys kinds of keys from a size up.
	// What is not there was never to be relied on.
	Digests []DigestRule `json:"digests"`
	Keys    []KeyRule    `json:"keys"`
}

// DigestRule is about a hash function.
type DigestRule struct {
	Name  string    `json:"name"`
	Until time.Time `json:"until,omitzero"` // exclusive; zero: no end is known
}

// KeyRule is about keys of a kind from Bits up, as far as no other rule about
// larger ones holds.
type KeyRule struct {
	Kind  string    `json:"kind"` // RSA or ECDSA
	Bits  int       `json:"bits"`
	Until time.Time `json:"until,omitzero"`
}

// TS119312 is ETSI TS 119 312 V2.1.1 (2026-06): what it recommends, after the
// mechanisms that SOG-IS has agreed, and the "suggested cryptographic
// constraint" of annex D, tables D.1 and D.2, for what it no longer does.
func TS119312() Algorithms {
	day := func(y int, m time.Month) time.Time { return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC) }
	return Algorithms{
		Source: "ETSI TS 119 312 V2.1.1 (2026-06)",
		Digests: []DigestRule{
			{Name: "SHA-1", Until: day(2012, time.August)},
			{Name: "SHA-224", Until: day(2026, time.January)},
			{Name: "SHA-256"},
			{Name: "SHA-384"},
			{Name: "SHA-512"},
			{Name: "SHA-512/256"},
			{Name: "SHA3-256"},
			{Name: "SHA3-384"},
			{Name: "SHA3-512"},
		},
		Keys: []KeyRule{
			{Kind: "RSA", Bits: 786, Until: day(2010, time.August)},
			{Kind: "RSA", Bits: 1024, Until: day(2019, time.October)},
			{Kind: "RSA", Bits: 1536, Until: day(2019, time.October)},
			{Kind: "RSA", Bits: 1900, Until: day(2026, time.January)},
			{Kind: "RSA", Bits: 3000},
			{Kind: "ECDSA", Bits: 163, Until: day(2012, time.August)},
			{Kind: "ECDSA", Bits: 224, Until: day(2021, time.October)},
			{Kind: "ECDSA", Bits: 256},
		},
	}
}

// digest says what is wrong with a hash function at a time; nothing is "".
func (a Algorithms) digest(h crypto.Hash, at time.Time) string {
	for _, r := range a.Digests {
		if r.Name == h.String() {
			return over(r.Name, r.Until, at)
		}
	}
	return fmt.Sprintf("%v was never to be relied on", h)
}

// key says what is wrong with a key at a time.
func (a Algorithms) key(key crypto.PublicKey, at time.Time) string {
	kind, bits := sizeOf(key)
	best := KeyRule{Bits: -1}
	for _, r := range a.Keys {
		if r.Kind == kind && bits >= r.Bits && r.Bits > best.Bits {
			best = r
		}
	}
	if best.Bits < 0 {
		return fmt.Sprintf("a %s key of %d bits was never to be relied on", kind, bits)
	}
	return over(fmt.Sprintf("a %s key of %d bits", kind, bits), best.Until, at)
}

// suite says what is wrong with a signature by both.
func (a Algorithms) suite(h crypto.Hash, key crypto.PublicKey, at time.Time) string {
	if why := a.digest(h, at); why != "" {
		return why
	}
	return a.key(key, at)
}

func over(what string, until, at time.Time) string {
	if until.IsZero() || at.Before(until) {
		return ""
	}
	return fmt.Sprintf("%s is not to be relied on since %s", what, until.Format(time.DateOnly))
}

func sizeOf(key crypto.PublicKey) (kind string, bits int) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		return "ECDSA", k.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", 256
	default:
		return fmt.Sprintf("%T", key), 0
	}
}

// hashIn is the hash function of a certificate's or list's signature.
func hashIn(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		return crypto.SHA1
	case x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		return crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512, x509.PureEd25519:
		return crypto.SHA512
	default:
		return crypto.MD5
	}
}
