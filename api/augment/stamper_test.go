package augment

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.mozilla.org/pkcs7"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

func stampPolicy() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1} }

// unit is a time-stamping authority that a test may bend.
type unit struct {
	*cmstest.TimeStamps
	authority *tsa.Authority
}

func newUnit(tb testing.TB, a *cmstest.Authority, now func() time.Time, change func(*x509.Certificate)) unit {
	tb.Helper()
	u := unit{TimeStamps: a.TimeStamps(tb, change)}
	var err error
	u.authority, err = tsa.New(tsa.Config{
		Certificate: u.Certificate, Signer: u.Key, Policy: stampPolicy(), Now: now, Trusted: func(context.Context) error { return nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// TimeStamp implements Authority.
func (u unit) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	return u.authority.Answer(ctx, query)
}

// at serves an Authority under an address, and is the way there.
func at(tb testing.TB, a Authority) Authority {
	tb.Helper()
	server, host := serve(tb, func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		response, err := a.TimeStamp(r.Context(), query)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		say(w, response)
	})
	return newWeb(tb, WebConfig{Hosts: []string{host}, Networks: loopback(), Timeout: time.Second}).Authority(server.URL + "/tsa")
}

func trusting(anchors ...*x509.Certificate) Trust {
	return func(context.Context) ([]*x509.Certificate, error) { return anchors, nil }
}

func newStamps(tb testing.TB, c StampsConfig) *Stamps {
	tb.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	if c.Now == nil {
		c.Now = time.Now
	}
	s, err := NewStamps(c)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// bent is an Authority made of a function.
type bent func(ctx context.Context, query []byte) ([]byte, error)

func (f bent) TimeStamp(ctx context.Context, query []byte) ([]byte, error) { return f(ctx, query) }

// asked is a TimeStampReq as it is sent.
type asked struct {
	Version int
	Imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Policy asn1.ObjectIdentifier `asn1:"optional"`
	Nonce  *big.Int              `asn1:"optional"`
	Wanted bool                  `asn1:"optional"`
}

// otherwise has an authority answer something else than it was asked.
func otherwise(a Authority, change func(*asked)) Authority {
	return bent(func(ctx context.Context, query []byte) ([]byte, error) {
		var q asked
		if _, err := asn1.Unmarshal(query, &q); err != nil {
			return nil, err
		}
		change(&q)
		der, err := asn1.Marshal(q)
		if err != nil {
			return nil, err
		}
		return a.TimeStamp(ctx, der)
	})
}

// under signs a unit's stamp anew under another certificate of its key, as a
// server of TLS could whose key was lost.
func under(tb testing.TB, u unit, certificate *x509.Certificate) Authority {
	tb.Helper()
	return bent(func(ctx context.Context, query []byte) ([]byte, error) {
		response, err := u.TimeStamp(ctx, query)
		if err != nil {
			return nil, err
		}
		token, err := tsa.Token(response)
		if err != nil {
			return nil, err
		}
		p7, err := pkcs7.Parse(token)
		if err != nil {
			return nil, err
		}
		content := cms.Content{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}, DER: p7.Content}
		digest := sha256.Sum256(content.DER)
		contentType, err1 := cms.ContentTypeOf(content.Type)
		messageDigest, err2 := cms.MessageDigest(digest[:])
		name, err3 := cms.SigningCertificateV2(certificate)
		attributes, err4 := cms.EncodeAttributes(contentType, messageDigest, name)
		digest = sha256.Sum256(attributes)
		value, err5 := u.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
		token, err6 := cms.Assemble(cms.Parts{SignedAttributes: attributes, Signature: value, Certificate: certificate, Hash: crypto.SHA256, Content: &content})
		if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
			return nil, err
		}
		return asn1.Marshal(struct {
			Status struct{ Status int }
			Token  asn1.RawValue
		}{Token: asn1.RawValue{FullBytes: token}})
	})
}

// TestHostileAuthorities: none of them gives a stamp, and the next in order does.
func TestHostileAuthorities(t *testing.T) {
	t.Parallel()
	here, elsewhere := cmstest.NewAuthority(t), cmstest.NewAuthority(t)
	good, untrusted := newUnit(t, here, time.Now, nil), newUnit(t, elsewhere, time.Now, nil)
	digest := sha256.Sum256([]byte("contenido"))
	other := sha256.Sum256([]byte("otro"))
	earlier, err := good.TimeStamp(t.Context(), query(t, digest[:]))
	if err != nil {
		t.Fatal(err)
	}
	long := func(size int) Authority {
		return bent(func(context.Context, []byte) ([]byte, error) { return make([]byte, size), nil })
	}
	slow, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil { // else the server does not see who goes
			<-r.Context().Done()
		}
	})
	expired := newUnit(t, here, func() time.Time { return time.Now().Add(-50 * time.Minute) }, func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(-time.Minute)
	})
	server := here.Certify(t, good.Key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	lax := here.Certify(t, good.Key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping} })
	for name, hostile := range map[string]Authority{
		"another nonce":               otherwise(good, func(q *asked) { q.Nonce = big.NewInt(1) }),
		"no nonce":                    otherwise(good, func(q *asked) { q.Nonce = nil }),
		"another imprint":             otherwise(good, func(q *asked) { q.Imprint.Digest = other[:] }),
		"no certificate":              otherwise(good, func(q *asked) { q.Wanted = false }),
		"an earlier answer":           bent(func(context.Context, []byte) ([]byte, error) { return earlier, nil }),
		"another root":                untrusted,
		"expired certificate":         expired,
		"clock an hour late":          newUnit(t, here, func() time.Time { return time.Now().Add(-50 * time.Minute) }, nil),
		"clock an hour early":         newUnit(t, here, func() time.Time { return time.Now().Add(time.Hour) }, nil),
		"certificate of a TLS server": under(t, good, server),
		"usage not critical":          under(t, good, lax),
		"certificate of a citizen":    under(t, good, here.Certify(t, good.Key.Public(), nil)),
		"refuses":                     otherwise(good, func(q *asked) { q.Version = 3 }),
		"a web page":                  bent(func(context.Context, []byte) ([]byte, error) { return []byte("<html>OK</html>"), nil }),
		"nothing":                     bent(func(context.Context, []byte) ([]byte, error) { return nil, nil }),
		"no answer":                   bent(func(context.Context, []byte) ([]byte, error) { return nil, io.ErrUnexpectedEOF }),
		"too much":                    long(tsa.MaxResponse + 1),
		"zeros":                       long(100),
		"never":                       newWeb(t, WebConfig{Hosts: []string{slow.Listener.Addr().String()}, Networks: loopback()}).Authority(slow.URL),
		"not there":                   newWeb(t, WebConfig{Hosts: []string{"127.0.0.1:1"}, Networks: loopback()}).Authority("http://127.0.0.1:1/"),
		"inside":                      newWeb(t, WebConfig{Hosts: []string{slow.Listener.Addr().String()}}).Authority(slow.URL),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := StampsConfig{Trust: trusting(here.Root), Timeout: 700 * time.Millisecond, Sources: []Source{{Name: "hostile", Authority: at(t, hostile)}}}
			if name == "expired certificate" {
				c.Drift = 2 * time.Hour // its clock is none of the reasons
			}
			token, err := newStamps(t, c).TimeStamp(t.Context(), crypto.SHA256, digest[:])
			if token != nil && err == nil || !errors.Is(err, policies.Refuse(policies.TimeStampUnavailable)) {
				t.Fatalf("got %d octets, %v, want %v", len(token), err, policies.TimeStampUnavailable)
			}
			c.Sources = append(c.Sources, Source{Name: "good", Authority: at(t, good), Policies: []asn1.ObjectIdentifier{stampPolicy()}})
			if token, err = newStamps(t, c).TimeStamp(t.Context(), crypto.SHA256, digest[:]); err != nil {
				t.Fatalf("the second is not asked: %v", err)
			}
			if s, err := tsa.Read(token); err != nil || !bytes.Equal(s.Digest, digest[:]) || !s.Signer.Equal(good.Certificate) {
				t.Errorf("got %+v, %v, want a stamp of the second", s, err)
			}
		})
	}
}

func query(tb testing.TB, digest []byte) []byte {
	tb.Helper()
	der, err := tsa.NewRequest(crypto.SHA256, digest).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// TestStamps: OpenSSL accepts what is given, for every hash.
func TestStamps(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	s := newStamps(t, StampsConfig{Trust: trusting(authority.Root), Sources: []Source{{Name: "tsa", Authority: at(t, newUnit(t, authority, time.Now, nil))}}})
	content := []byte("Solicitud de ayuda al alquiler")
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		token, err := s.TimeStamp(t.Context(), hash, cmstest.Digest(hash, content))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := opensslStamp(t, token, content, authority.Root); err != nil {
			t.Errorf("%v: openssl ts -verify: %v\n%s", hash, err, out)
		}
		if out, err := opensslStamp(t, token, []byte("otra cosa"), authority.Root); err == nil {
			t.Errorf("%v: openssl accepts the stamp for something else: %s", hash, out)
		}
	}
	if _, err := s.TimeStamp(t.Context(), crypto.SHA1, make([]byte, 20)); err == nil {
		t.Error("got a stamp for a SHA-1")
	}
}

// opensslStamp has a token judged by `openssl ts -verify`.
func opensslStamp(tb testing.TB, token, content []byte, root *x509.Certificate) (string, error) {
	tb.Helper()
	dir := tb.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	out, err := exec.CommandContext(tb.Context(), "openssl", "ts", "-verify", "-token_in", "-in", write("token", token), "-data", write("content", content),
		"-CAfile", write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}))).CombinedOutput()
	return string(out), err
}

// TestTired: who did not answer is asked last for a minute, and is not given up.
func TestTired(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	good := newUnit(t, authority, time.Now, nil)
	var order string
	var down error
	source := func(name string) Source {
		return Source{Name: name, Authority: bent(func(ctx context.Context, query []byte) ([]byte, error) {
			order += name
			if name == "a" && down != nil {
				return nil, down
			}
			return good.TimeStamp(ctx, query)
		})}
	}
	now := time.Now()
	s := newStamps(t, StampsConfig{
		Trust: trusting(authority.Root), Sources: []Source{source("a"), source("b")}, Now: func() time.Time { return now }, Drift: time.Hour,
	})
	for _, step := range []struct {
		down  error
		after time.Duration
		want  string
	}{
		{nil, 0, "a"},
		{io.EOF, 0, "ab"},
		{io.EOF, time.Second, "b"},
		{nil, time.Second, "b"},
		{nil, rest, "a"},
		{io.EOF, 0, "ab"},
		{nil, -time.Minute, "a"}, // a clock that was set back tires nobody for ever
	} {
		order, down, now = "", step.down, now.Add(step.after)
		if _, err := s.TimeStamp(t.Context(), crypto.SHA256, make([]byte, 32)); err != nil || order != step.want {
			t.Errorf("%+v: got %q, %v, want %q", step, order, err, step.want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("citizen left: %w", io.ErrClosedPipe))
	if _, err := s.TimeStamp(ctx, crypto.SHA256, make([]byte, 32)); err != nil && !errors.Is(err, policies.Refuse(policies.TimeStampUnavailable)) {
		t.Errorf("got %v, want %v", err, policies.TimeStampUnavailable)
	}
}
