package tsa

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

var (
	now    = time.Date(2026, 3, 10, 12, 0, 0, 450_999_999, time.UTC)
	policy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
)

// unit is an Authority with the hierarchy above it.
type unit struct {
	*Authority
	config        Config
	root, issuing *x509.Certificate
	issuingKey    crypto.Signer
	clock         atomic.Pointer[time.Time]
	fault         atomic.Pointer[error]
}

func newUnit(tb testing.TB, kind string) *unit {
	tb.Helper()
	rootKey, issuingKey := newKey(tb, "p256"), newKey(tb, "p256")
	u := &unit{issuingKey: issuingKey}
	u.clock.Store(&now)
	authority := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	u.root = certify(tb, rootKey.Public(), nil, rootKey, authority)
	u.issuing = certify(tb, issuingKey.Public(), u.root, rootKey, authority)
	key := newKey(tb, kind)
	u.config = Config{
		Certificate: u.certificate(tb, key.Public(), nil), Signer: key,
		Chain: []*x509.Certificate{u.issuing}, Policy: policy,
		Now: func() time.Time { return *u.clock.Load() },
		Trusted: func(context.Context) error {
			if err := u.fault.Load(); err != nil {
				return *err
			}
			return nil
		},
	}
	var err error
	if u.Authority, err = New(u.config); err != nil {
		tb.Fatal(err)
	}
	return u
}

// certificate issues one for a time-stamping unit, changed before it is signed.
func (u *unit) certificate(tb testing.TB, public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	return certify(tb, public, u.issuing, u.issuingKey, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{
			{Id: idExtKeyUsage(), Critical: true, Value: encode(tb, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})},
			{Id: idPrivateKeyUsagePeriod(), Value: encode(tb, period{now.Add(-time.Hour), now.Add(time.Hour)})},
		}
		if change != nil {
			change(c)
		}
	})
}

func certify(tb testing.TB, public any, issuer *x509.Certificate, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		Subject:   pkix.Name{Country: []string{"ES"}, CommonName: rand.Text()},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	change(template)
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func newKey(tb testing.TB, kind string) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		tb.Fatalf("no key of kind %q", kind)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// ask is a query that is granted, changed.
func ask(tb testing.TB, change func(*query)) []byte {
	tb.Helper()
	digest := sha256.Sum256([]byte("contenido"))
	q := query{
		Version: 1, Nonce: big.NewInt(0x0123456789abcdef), CertReq: true,
		MessageImprint: messageImprint{imprintOf(crypto.SHA256), digest[:]},
	}
	if change != nil {
		change(&q)
	}
	return encode(tb, q)
}

func imprintOf(hash crypto.Hash) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: hashNames()[hash]}
}

// failed is what a response says that holds no token.
func failed(tb testing.TB, der []byte) (FailInfo, string) {
	tb.Helper()
	var r response
	rest, err := asn1.Unmarshal(der, &r)
	if err != nil || len(rest) > 0 {
		tb.Fatalf("parsing the response: %v", err)
	}
	if r.Status.Status != rejection || len(r.Token.FullBytes) > 0 || len(r.Status.StatusString) != 1 {
		tb.Fatalf("got %+v, want a rejection with a reason and without a token", r)
	}
	info := r.Status.FailInfo
	if info.At(info.BitLength-1) != 1 {
		tb.Errorf("got failInfo %v, want its last bit set", info)
	}
	return FailInfo(info.BitLength - 1), string(r.Status.StatusString[0].Bytes)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "p256")
	change := func(change func(*query)) []byte { return ask(t, change) }
	good := ask(t, nil)
	null := asn1.NullRawValue
	for name, tc := range map[string]struct {
		query []byte
		want  FailInfo
	}{
		"empty":               {nil, BadDataFormat},
		"garbage":             {[]byte("GET / HTTP/1.1"), BadDataFormat},
		"cut":                 {good[:len(good)-1], BadDataFormat},
		"bytes after the end": {append(slices.Clip(good), 0), BadDataFormat},
		"indefinite length":   {append([]byte{0x30, 0x80}, append(good[2:len(good):len(good)], 0, 0)...), BadDataFormat},
		"huge":                {make([]byte, MaxQuery+1), BadDataFormat},
		"version 0":           {change(func(q *query) { q.Version = 0 }), BadRequest},
		"version 2":           {change(func(q *query) { q.Version = 2 }), BadRequest},
		"SHA-1":               {change(func(q *query) { q.MessageImprint.HashAlgorithm.Algorithm = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26} }), BadAlg},
		"a signature's OID": {change(func(q *query) {
			q.MessageImprint.HashAlgorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
		}), BadAlg},
		"hash with parameters": {change(func(q *query) { q.MessageImprint.HashAlgorithm.Parameters = asn1.RawValue{FullBytes: []byte{2, 1, 1}} }), BadAlg},
		"no digest":            {change(func(q *query) { q.MessageImprint.HashedMessage = nil }), BadDataFormat},
		"digest too short":     {change(func(q *query) { q.MessageImprint.HashedMessage = make([]byte, 31) }), BadDataFormat},
		"digest too long":      {change(func(q *query) { q.MessageImprint.HashedMessage = make([]byte, 64) }), BadDataFormat},
		"digest of another hash": {change(func(q *query) {
			q.MessageImprint.HashAlgorithm = imprintOf(crypto.SHA512)
		}), BadDataFormat},
		"another policy": {change(func(q *query) { q.Policy = asn1.ObjectIdentifier{1, 2, 3} }), UnacceptedPolicy},
		"negative nonce": {change(func(q *query) { q.Nonce = big.NewInt(-1) }), BadRequest},
		"huge nonce":     {change(func(q *query) { q.Nonce = new(big.Int).Lsh(big.NewInt(1), maxNonce) }), BadRequest},
		"extension": {change(func(q *query) {
			q.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}), UnacceptedExtension},
		"empty extensions": {change(func(q *query) { q.Extensions = []pkix.Extension{} }), UnacceptedExtension},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der, err := u.Answer(t.Context(), tc.query)
			cause := new(FailureError)
			if !errors.As(err, &cause) || cause.Info != tc.want || cause.Ours() {
				t.Errorf("got cause %v, want failure %d of the client's", err, tc.want)
			}
			if got, reason := failed(t, der); got != tc.want || reason == "" {
				t.Errorf("got failInfo %d, %q, want %d with a reason", got, reason, tc.want)
			}
		})
	}
	for name, der := range map[string][]byte{
		"good":            good,
		"NULL parameters": change(func(q *query) { q.MessageImprint.HashAlgorithm.Parameters = null }),
		"own policy":      change(func(q *query) { q.Policy = policy }),
		"no nonce":        change(func(q *query) { q.Nonce = nil }),
		"long nonce":      change(func(q *query) { q.Nonce = new(big.Int).Lsh(big.NewInt(1), maxNonce-1) }),
	} {
		if _, err := u.Answer(t.Context(), der); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// faulty is a key whose signatures are wrong, or fail.
type faulty struct {
	crypto.Signer
	err error
}

func (f faulty) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	other := make([]byte, len(digest))
	return f.Signer.Sign(rand.Reader, other, opts)
}

// TestOwnFaults: whatever is wrong with the authority itself, nothing leaves but
// a response that says so, and the operator reads why.
func TestOwnFaults(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "rsa")
	down := errors.New("device error 0x30")
	with := func(change func(*Config)) *Authority {
		c := u.config
		change(&c)
		a, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	at := func(when time.Time) *Authority {
		return with(func(c *Config) { c.Now = func() time.Time { return when } })
	}
	unbounded := with(func(c *Config) {
		c.Certificate = u.certificate(t, c.Signer.Public(), func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[:1] })
		c.Now = func() time.Time { return now.Add(2 * time.Hour) }
	})
	if _, err := unbounded.Answer(t.Context(), ask(t, nil)); err != nil {
		t.Errorf("a key without a usage period: %v", err)
	}
	calls := 0
	for name, tc := range map[string]struct {
		authority *Authority
		want      FailInfo
		cause     error
	}{
		"clock": {with(func(c *Config) { c.Trusted = func(context.Context) error { return down } }), TimeNotAvailable, down},
		"clock set while it is read": {with(func(c *Config) {
			c.Trusted = func(context.Context) error {
				if calls++; calls > 1 {
					return down
				}
				return nil
			}
		}), TimeNotAvailable, down},
		"token down":                {with(func(c *Config) { c.Signer = faulty{c.Signer, down} }), SystemFailure, down},
		"wrong signature":           {with(func(c *Config) { c.Signer = faulty{Signer: c.Signer} }), SystemFailure, nil},
		"key not yet in use":        {at(now.Add(-2 * time.Hour)), SystemFailure, ErrRetired},
		"key out of use":            {at(now.Add(2 * time.Hour)), SystemFailure, ErrRetired},
		"certificate not yet valid": {at(now.Add(-25 * time.Hour)), SystemFailure, ErrRetired},
		"certificate expired":       {at(now.Add(25 * time.Hour)), SystemFailure, ErrRetired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der, err := tc.authority.Answer(t.Context(), ask(t, nil))
			cause := new(FailureError)
			if !errors.As(err, &cause) || cause.Info != tc.want || !cause.Ours() || tc.cause != nil && !errors.Is(err, tc.cause) {
				t.Errorf("got cause %v, want failure %d for %v", err, tc.want, tc.cause)
			}
			if got, _ := failed(t, der); got != tc.want {
				t.Errorf("got failInfo %d, want %d", got, tc.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "p256")
	certificate := func(change func(*x509.Certificate)) func(*Config) {
		return func(c *Config) { c.Certificate = u.certificate(t, c.Signer.Public(), change) }
	}
	usages := func(critical bool, usages ...asn1.ObjectIdentifier) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: idExtKeyUsage(), Critical: critical, Value: encode(t, usages)}}
		}
	}
	stamping := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	for name, change := range map[string]func(*Config){
		"no clock":            func(c *Config) { c.Trusted = nil },
		"no policy":           func(c *Config) { c.Policy = nil },
		"accuracy too low":    func(c *Config) { c.Accuracy = time.Second + time.Microsecond },
		"accuracy too fine":   func(c *Config) { c.Accuracy = time.Nanosecond },
		"SHA-1":               func(c *Config) { c.Hashes = []crypto.Hash{crypto.SHA1} },
		"no certificate":      func(c *Config) { c.Certificate = nil },
		"another key":         func(c *Config) { c.Signer = newKey(t, "p256") },
		"authority":           func(c *Config) { c.Certificate, c.Signer = u.issuing, u.issuingKey },
		"usage not critical":  certificate(usages(false, stamping)),
		"another usage":       certificate(usages(true, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9})),
		"one usage too many":  certificate(usages(true, stamping, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9})),
		"an unknown usage":    certificate(usages(true, stamping, asn1.ObjectIdentifier{1, 2, 3})),
		"no usage":            certificate(func(c *x509.Certificate) { c.ExtraExtensions = nil }),
		"key for encryption":  certificate(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }),
		"damaged usageperiod": certificate(func(c *x509.Certificate) { c.ExtraExtensions[1].Value = []byte{0x30, 0x80} }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := u.config
			change(&c)
			if _, err := New(c); err == nil {
				t.Error("got an authority, want an error")
			}
		})
	}
}

func TestGenTime(t *testing.T) {
	t.Parallel()
	for at, want := range map[time.Time]string{
		time.Date(2026, 3, 29, 3, 0, 0, 0, time.FixedZone("CEST", 7200)): "20260329010000Z",
		time.Date(2026, 1, 2, 3, 4, 5, 999_999, time.UTC):                "20260102030405Z",
		time.Date(2026, 1, 2, 3, 4, 5, 120_000_000, time.UTC):            "20260102030405.12Z",
		time.Date(2050, 1, 2, 3, 4, 5, 7_900_000, time.UTC):              "20500102030405.007Z",
	} {
		if got := string(genTime(at).Bytes); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		f.Add(ask(f, func(q *query) {
			q.MessageImprint = messageImprint{imprintOf(hash), make([]byte, hash.Size())}
		}))
	}
	f.Add(ask(f, func(q *query) { q.Policy, q.Nonce, q.CertReq = policy, nil, false }))
	f.Add(ask(f, func(q *query) { q.Extensions = []pkix.Extension{{Id: policy, Critical: true, Value: []byte{5, 0}}} }))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		q, refused := parseQuery(der)
		if refused != nil {
			if answer, err := refused.encode(); err != nil || len(answer) == 0 {
				t.Errorf("no response to %v: %v", refused, err)
			}
			return
		}
		if again := encode(t, *q); string(again) != string(der) {
			t.Errorf("got %x again, want %x", again, der)
		}
	})
}
