package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// expected asks a unit, and is what is expected of its stamp.
func (u *unit) expected() Expected {
	digest := sha256.Sum256([]byte("contenido"))
	return Expected{
		Request: NewRequest(crypto.SHA256, digest[:]), Policies: []asn1.ObjectIdentifier{policy},
		Anchors: []*x509.Certificate{u.root}, Now: now.Add(time.Second), Drift: time.Minute,
	}
}

func stampOf(tb testing.TB, a *Authority, r Request) []byte {
	tb.Helper()
	query, err := r.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	answer, err := a.Answer(tb.Context(), query)
	if err != nil {
		tb.Fatal(err)
	}
	token, err := Token(answer)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rsa", "p256", "p384"} {
		u := newUnit(t, kind)
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			e := u.expected()
			e.Hash, e.Digest = hash, make([]byte, hash.Size())
			s, err := Check(stampOf(t, u.Authority, e.Request), e)
			if err != nil {
				t.Errorf("%s, %v: %v", kind, hash, err)
				continue
			}
			if !s.Time.Equal(now.Truncate(time.Millisecond)) || s.Accuracy != time.Second || !s.Signer.Equal(u.Certificate()) ||
				!s.Policy.Equal(policy) || len(s.Certificates) != 2 || s.Serial.BitLen() < 64 {
				t.Errorf("%s, %v: got %+v, want the stamp that was asked for", kind, hash, s)
			}
		}
	}
}

// TestCheckRefuses: a stamp that is any other than the one asked for.
func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	u, stranger := newUnit(t, "p256"), newUnit(t, "p256")
	with := func(change func(*Config)) *Authority {
		c := u.config
		change(&c)
		a, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, tc := range map[string]struct {
		authority *Authority
		asked     func(*Request)  // what is asked in the place of what is expected
		expected  func(*Expected) // what is expected in the place of what is asked
	}{
		"another nonce":        {asked: func(r *Request) { r.Nonce = big.NewInt(7) }},
		"no nonce":             {asked: func(r *Request) { r.Nonce = nil }},
		"a nonce unasked":      {expected: func(e *Expected) { e.Nonce = nil }},
		"another digest":       {asked: func(r *Request) { r.Digest = make([]byte, 32) }},
		"another hash":         {asked: func(r *Request) { r.Hash, r.Digest = crypto.SHA512, make([]byte, 64) }},
		"another policy":       {expected: func(e *Expected) { e.Policies = []asn1.ObjectIdentifier{{1, 2, 3}} }},
		"not the policy asked": {expected: func(e *Expected) { e.Policy = asn1.ObjectIdentifier{1, 2, 3} }},
		"another root":         {expected: func(e *Expected) { e.Anchors = []*x509.Certificate{stranger.root} }},
		"no root":              {expected: func(e *Expected) { e.Anchors = nil }},
		"of another authority": {authority: stranger.Authority},
		"expired":              {expected: func(e *Expected) { e.Now, e.Drift = now.Add(25*time.Hour), 48*time.Hour }},
		"of yesterday":         {expected: func(e *Expected) { e.Now = now.Add(2 * time.Minute) }},
		"of tomorrow":          {expected: func(e *Expected) { e.Now = now.Add(-2 * time.Minute) }},
		"chain missing":        {authority: with(func(c *Config) { c.Chain = nil })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := u.expected()
			asked := e.Request
			if tc.asked != nil {
				tc.asked(&asked)
			}
			authority := u.Authority
			if tc.authority != nil {
				authority = tc.authority
			}
			token := stampOf(t, authority, asked)
			if tc.expected != nil {
				tc.expected(&e)
			}
			if s, err := Check(token, e); !errors.Is(err, ErrToken) {
				t.Errorf("got %+v, %v, want %v", s, err, ErrToken)
			}
		})
	}
}

// TestCheckUsage: whoever signs must be one for stamps alone. An Authority would
// not do it with such a certificate, so one is put in its place afterwards.
func TestCheckUsage(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "p256")
	usage := func(critical bool, usages ...asn1.ObjectIdentifier) pkix.Extension {
		return pkix.Extension{Id: idExtKeyUsage(), Critical: critical, Value: encode(t, usages)}
	}
	stamping := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		good   bool
	}{
		"as it should be": {func(*x509.Certificate) {}, true},
		"no usage":        {func(c *x509.Certificate) { c.ExtraExtensions = nil }, false},
		"not critical":    {func(c *x509.Certificate) { c.ExtraExtensions[0] = usage(false, stamping) }, false},
		"servers": {func(c *x509.Certificate) {
			c.ExtraExtensions[0] = usage(true, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1})
		}, false},
		"servers, too": {func(c *x509.Certificate) {
			c.ExtraExtensions[0] = usage(true, stamping, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1})
		}, false},
		"an authority": {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, false},
		"key retired": {func(c *x509.Certificate) {
			c.ExtraExtensions[1].Value = encode(t, period{NotAfter: now.Add(-time.Minute)})
		}, false},
		"period malformed": {func(c *x509.Certificate) { c.ExtraExtensions[1].Value = []byte{4, 0} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrong := *u.Authority
			wrong.config.Certificate = u.certificate(t, u.config.Signer.Public(), tc.change)
			var err error
			if wrong.certificate, err = cms.SigningCertificateV2(wrong.config.Certificate); err != nil {
				t.Fatal(err)
			}
			e := u.expected()
			q, refused := parseQuery(marshal(t, e.Request))
			if refused != nil {
				t.Fatal(refused)
			}
			token, err := wrong.token(q, now)
			if err != nil {
				t.Fatal(err)
			}
			if s, err := Check(token, e); tc.good != (err == nil) || !tc.good && !errors.Is(err, ErrToken) {
				t.Errorf("got %+v, %v, want good: %v", s, err, tc.good)
			}
		})
	}
}

func marshal(tb testing.TB, r Request) []byte {
	tb.Helper()
	der, err := r.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// TestToken: what is no response, and what is one without a token.
func TestToken(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "p256")
	refused, err := u.Answer(t.Context(), []byte("x"))
	if err == nil {
		t.Fatal("got a stamp of nothing")
	}
	good, err := u.Answer(t.Context(), marshal(t, u.expected().Request))
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{
		"refusal": refused, "nothing": nil, "web page": []byte("<html>"), "two": append(bytes.Clone(good), good...),
		"huge": append(bytes.Clone(good), make([]byte, MaxResponse)...), "granted nothing": {0x30, 5, 0x30, 3, 2, 1, 0},
	} {
		if token, err := Token(der); !errors.Is(err, ErrToken) {
			t.Errorf("%s: got %x, %v, want %v", name, token, err, ErrToken)
		}
	}
	var failure *FailureError
	if _, err := Token(refused); !errors.As(err, &failure) || failure.Info != BadDataFormat {
		t.Errorf("got %v, want the authority's failure %d", err, BadDataFormat)
	}
	if _, err := (Request{Hash: crypto.SHA1, Digest: make([]byte, 20)}).Marshal(); err == nil {
		t.Error("SHA-1 is asked for")
	}
}

// TestCheckMutations: no token that was changed anywhere passes, but for its
// certificates' order and what no signature covers.
func TestCheckMutations(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "p256")
	e := u.expected()
	token := stampOf(t, u.Authority, e.Request)
	for i := range token {
		changed := bytes.Clone(token)
		changed[i] ^= 1 << (i % 8)
		s, err := Check(changed, e)
		if err == nil && (!s.Signer.Equal(u.Certificate()) || !s.Time.Equal(now.Truncate(time.Millisecond))) {
			t.Errorf("octet %d: got %+v, want a refusal or the same", i, s)
		}
	}
}

// TestCheckOpenSSL reads what OpenSSL stamps: with ESSCertID of SHA-1 (RFC 3161)
// and ESSCertIDv2, with RSA, an accuracy in three parts, ordering and a name.
func TestCheckOpenSSL(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "rsa")
	key, err := x509.MarshalPKCS8PrivateKey(u.config.Signer)
	if err != nil {
		t.Fatal(err)
	}
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for _, ess := range []string{"sha1", "sha256", "sha512"} {
		t.Run(ess, func(t *testing.T) {
			t.Parallel()
			f := files{t.TempDir()}
			f.write(t, "serial", []byte("0A0B0C\n"))
			f.write(t, "tsa.cnf", []byte(strings.ReplaceAll(`[tsa]
default_tsa = t
[t]
serial = DIR/serial
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = yes
signer_digest = sha256
ess_cert_id_alg = `+ess+"\n", "DIR", f.dir)))
			e := u.expected()
			e.Now, e.Drift = time.Now(), time.Hour
			valid := u.certificate(t, u.config.Signer.Public(), func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter, c.ExtraExtensions = e.Now.Add(-time.Hour), e.Now.Add(time.Hour), c.ExtraExtensions[:1]
			})
			e.Anchors = []*x509.Certificate{u.issuing}
			e.Now = time.Now()
			out, err := openssl(t, "ts", "-reply", "-config", filepath.Join(f.dir, "tsa.cnf"), "-section", "t",
				"-queryfile", f.write(t, "query", marshal(t, e.Request)), "-inkey", f.write(t, "key", key),
				"-signer", f.certificates(t, "signer.pem", valid), "-chain", f.certificates(t, "chain.pem", u.issuing),
				"-out", filepath.Join(f.dir, "response"))
			if err != nil {
				t.Fatalf("openssl ts -reply: %v\n%s", err, out)
			}
			der, err := os.ReadFile(filepath.Join(f.dir, "response"))
			if err != nil {
				t.Fatal(err)
			}
			token, err := Token(der)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Read(token)
			if err != nil {
				t.Fatal(err)
			}
			if s.Accuracy != 1500100*time.Microsecond || s.Serial.Int64() != 0x0a0b0d || !s.Signer.Equal(valid) || !sameNonce(s.Nonce, e.Nonce) {
				t.Errorf("got %+v, want what OpenSSL was told to say", s)
			}
			if err := s.Fit(); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	u := newUnit(f, "p256")
	u.config.Trusted = func(context.Context) error { return nil }
	f.Add(stampOf(f, u.Authority, u.expected().Request))
	f.Fuzz(func(_ *testing.T, token []byte) {
		if s, err := Read(token); err == nil && s.Signer != nil {
			_ = s.Fit()
		}
	})
}
