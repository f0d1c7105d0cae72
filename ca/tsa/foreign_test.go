package tsa

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
)

// files is a directory for OpenSSL.
type files struct{ dir string }

func (f files) write(tb testing.TB, name string, data []byte) string {
	tb.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func (f files) certificates(tb testing.TB, name string, certificates ...*x509.Certificate) string {
	tb.Helper()
	var out bytes.Buffer
	for _, c := range certificates {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			tb.Fatal(err)
		}
	}
	return f.write(tb, name, out.Bytes())
}

func openssl(tb testing.TB, args ...string) (string, error) {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "openssl", args...).CombinedOutput()
	return string(out), err
}

// TestForeignVerdict has queries of OpenSSL answered with every kind of key and
// hash, and judged by OpenSSL, BouncyCastle and digitorus/timestamp.
func TestForeignVerdict(t *testing.T) {
	t.Parallel()
	content := []byte("Solicitud de ayuda al alquiler\r\n")
	for _, kind := range []string{"rsa", "p256", "p384"} {
		u := newUnit(t, kind)
		for name, args := range map[string][]string{
			"SHA-256":                   {"-sha256", "-cert"},
			"SHA-384":                   {"-sha384", "-cert"},
			"SHA-512":                   {"-sha512", "-cert", "-tspolicy", policy.String()},
			"without certificate":       {"-sha256"},
			"without certificate/nonce": {"-sha256", "-no_nonce"},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := files{t.TempDir()}
				data, query := f.write(t, "content", content), filepath.Join(f.dir, "query")
				if out, err := openssl(t, append([]string{"ts", "-query", "-data", data, "-out", query}, args...)...); err != nil {
					t.Fatalf("openssl ts -query: %v\n%s", err, out)
				}
				der, err := os.ReadFile(query)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := u.Answer(t.Context(), der)
				if err != nil {
					t.Fatalf("Answer: %v", err)
				}
				u.openSSL(t, f, answer)
				u.bouncyCastle(t, answer, der, digestOf(content, args[0]))
				u.digitorus(t, answer, digestOf(content, args[0]))
			})
		}
	}
}

func digestOf(content []byte, flag string) []byte {
	switch flag {
	case "-sha384":
		d := sha512.Sum384(content)
		return d[:]
	case "-sha512":
		d := sha512.Sum512(content)
		return d[:]
	default:
		d := sha256.Sum256(content)
		return d[:]
	}
}

func (u *unit) openSSL(t *testing.T, f files, answer []byte) {
	t.Helper()
	response := f.write(t, "response", answer)
	verify := func(untrusted ...*x509.Certificate) (string, error) {
		t.Helper()
		args := []string{
			"ts", "-verify", "-in", response, "-CAfile", f.certificates(t, "root.pem", u.root),
			"-attime", fmt.Sprint(now.Unix()), "-untrusted", f.certificates(t, "untrusted.pem", untrusted...),
		}
		if out, err := openssl(t, append(args, "-queryfile", filepath.Join(f.dir, "query"))...); err != nil {
			return out, err
		}
		return openssl(t, append(args, "-data", filepath.Join(f.dir, "content"))...)
	}
	if out, err := verify(u.Certificate(), u.issuing); err != nil {
		t.Errorf("openssl ts -verify: %v\n%s", err, out)
	}
	other := f.write(t, "content", []byte("otro"))
	if out, err := verify(u.Certificate(), u.issuing); err == nil {
		t.Errorf("openssl accepts the stamp for %s: %s", other, out)
	}
	text, err := openssl(t, "ts", "-reply", "-in", response, "-text")
	for _, line := range []string{
		"Status: Granted.", "Policy OID: " + policy.String(), "Time stamp: Mar 10 12:00:00.45 2026 GMT",
		"Accuracy: 0x01 seconds, unspecified millis, unspecified micros", "Ordering: no", "TSA: unspecified",
	} {
		if err != nil || !strings.Contains(text, line) {
			t.Errorf("openssl ts -reply -text: %v, want %q in\n%s", err, line, text)
		}
	}
}

func (u *unit) bouncyCastle(t *testing.T, answer, query, digest []byte) {
	t.Helper()
	info, err := bouncycastle.TimeStamp(t, bouncycastle.Stamp{
		Response: answer, Query: query, Digest: digest, TSA: u.Certificate(),
		Intermediates: []*x509.Certificate{u.issuing}, Root: u.root,
	})
	if err != nil {
		t.Error(err)
		return
	}
	q, refused := parseQuery(query)
	if refused != nil {
		t.Fatal(refused)
	}
	certificates := 0
	if q.CertReq {
		certificates = 2
	}
	if !info.GenTime.Equal(now.Truncate(time.Millisecond)) || info.Accuracy != time.Second || info.Ordering ||
		info.Certificates != certificates || info.Serial.BitLen() < 64 || info.Serial.BitLen() > 128 ||
		fmt.Sprint(info.Nonce) != fmt.Sprint(q.Nonce) {
		t.Errorf("BouncyCastle reads %+v, want the stamp that was asked for", info)
	}
}

func (u *unit) digitorus(t *testing.T, answer, digest []byte) {
	t.Helper()
	stamp, err := timestamp.ParseResponse(answer)
	if err != nil {
		t.Errorf("digitorus/timestamp: %v", err)
		return
	}
	if !bytes.Equal(stamp.HashedMessage, digest) || !stamp.Time.Equal(now.Truncate(time.Millisecond)) ||
		stamp.Accuracy != time.Second || !stamp.Policy.Equal(policy) {
		t.Errorf("digitorus/timestamp reads %+v, want the stamp that was asked for", stamp)
	}
}

// TestForeignRefusal: OpenSSL and BouncyCastle read why there is no stamp.
func TestForeignRefusal(t *testing.T) {
	t.Parallel()
	u := newUnit(t, "p256")
	untrusted := errors.New("an hour off")
	u.fault.Store(&untrusted)
	for name, tc := range map[string]struct {
		query []byte
		text  string
		bit   int // as BouncyCastle numbers it
	}{
		"garbage": {[]byte("x"), "the data submitted has the wrong format", 1 << 2},
		"SHA3":    {ask(t, func(q *query) { q.MessageImprint.HashAlgorithm.Algorithm[8] = 9 }), "unrecognized or unsupported algorithm identifier", 1 << 7},
		"version": {ask(t, func(q *query) { q.Version = 9 }), "transaction not permitted or supported", 1 << 5},
		"policy":  {ask(t, func(q *query) { q.Policy = []int{1, 2, 3} }), "the requested TSA policy is not supported by the TSA", 1 << 8},
		"clock":   {ask(t, nil), "the TSA's time source is not available", 2 << 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := u.Answer(t.Context(), tc.query)
			if err == nil {
				t.Fatal("got a stamp, want a refusal")
			}
			f := files{t.TempDir()}
			out, err := openssl(t, "ts", "-reply", "-in", f.write(t, "response", answer), "-text")
			if err != nil || !strings.Contains(out, "Status: Rejected.") || !strings.Contains(out, tc.text) {
				t.Errorf("openssl reads %v, want %q in\n%s", err, tc.text, out)
			}
			info, err := bouncycastle.TimeStamp(t, bouncycastle.Stamp{Response: answer, Root: u.root})
			if err != nil || info.Status != rejection || info.FailInfo != tc.bit || info.StatusString == "" {
				t.Errorf("BouncyCastle reads %+v, %v, want failInfo %#x", info, err, tc.bit)
			}
		})
	}
}

// TestConcurrent: no two stamps have one serial number, and a clock that goes
// wrong in the middle stops them all.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 250
	u := newUnit(t, "p256")
	der := ask(t, nil)
	var mu sync.Mutex
	serials := map[string]bool{}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				answer, err := u.Answer(t.Context(), der)
				if err != nil {
					t.Error(err)
					return
				}
				stamp, err := timestamp.ParseResponse(answer)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				serials[stamp.SerialNumber.String()] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(serials) != workers*each {
		t.Errorf("got %d serial numbers, want %d", len(serials), workers*each)
	}
	untrusted := errors.New("an hour off")
	u.fault.Store(&untrusted)
	for range 100 {
		answer, err := u.Answer(t.Context(), der)
		if err == nil {
			t.Fatal("got a stamp of an untrusted clock")
		}
		if info, _ := failed(t, answer); info != TimeNotAvailable {
			t.Fatalf("got failInfo %d, want %d", info, TimeNotAvailable)
		}
	}
}
