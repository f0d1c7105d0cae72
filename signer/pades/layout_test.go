package pades_test

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
)

func TestDeterministic(t *testing.T) {
	t.Parallel()
	content := testdata(t, "qpdf-xref-stream.pdf")
	o := options()
	o.Stamp = stamped(stamp.LeftMargin)
	first, second := mustPrepare(t, content, o), mustPrepare(t, content, o)
	if diff := cmp.Diff(first.Layout, second.Layout); diff != "" || !bytes.Equal(first.Update, second.Update) {
		t.Errorf("the same input gives different outputs: %s", diff)
	}
	stored, err := json.Marshal(first.Layout)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) > 512 {
		t.Errorf("got a layout of %d octets, want a small one: %s", len(stored), stored)
	}
	var again pades.Layout
	if err := json.Unmarshal(stored, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Layout, again); diff != "" {
		t.Errorf("after storing: %s", diff)
	}
}

// TestChanged: nothing is completed over another document than was prepared.
func TestChanged(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	content := testdata(t, "pdf-lib.pdf")
	p := mustPrepare(t, content, options())
	sign(t, s, content, p, crypto.SHA384)
	changed := bytes.Clone(content)
	changed[100] ^= 1
	for name, other := range map[string][]byte{
		"an octet": changed, "longer": append(bytes.Clone(content), ' '), "shorter": content[:len(content)-1], "empty": nil,
	} {
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
			if _, err := p.Layout.Digest(bytes.NewReader(other), p.Update, hash); !errors.Is(err, pades.ErrChanged) {
				t.Errorf("%s, %v: got %v, want %v", name, hash, err, pades.ErrChanged)
			}
		}
		hashed := crypto.SHA256.New()
		hashed.Write(other)
		if _, err := p.Layout.DigestBehind(hashed, p.Update); !errors.Is(err, pades.ErrChanged) {
			t.Errorf("%s, hashed before: got %v, want %v", name, err, pades.ErrChanged)
		}
		if err := p.Layout.Verify(bytes.NewReader(other), p.Update, s.Certificate); !errors.Is(err, pades.ErrChanged) {
			t.Errorf("%s: got %v, want %v", name, err, pades.ErrChanged)
		}
	}
}

// TestDigestBehind: a document that was hashed before needs no second reading.
func TestDigestBehind(t *testing.T) {
	t.Parallel()
	content := testdata(t, "pdf-lib.pdf")
	p := mustPrepare(t, content, options())
	want, err := p.Layout.Digest(bytes.NewReader(content), p.Update, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	hashed := crypto.SHA256.New()
	hashed.Write(content)
	got, err := p.Layout.DigestBehind(hashed, p.Update)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
	other := crypto.SHA512.New()
	other.Write(content)
	if _, err := p.Layout.DigestBehind(other, p.Update); !errors.Is(err, pades.ErrChanged) {
		t.Errorf("by another hash: got %v, want %v", err, pades.ErrChanged)
	}
}

func TestFixTimeRefuses(t *testing.T) {
	t.Parallel()
	p := mustPrepare(t, testdata(t, "cairo.pdf"), options())
	before := bytes.Clone(p.Update)
	if err := p.Layout.FixTime(p.Update, time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("a year of five digits was written")
	}
	if !bytes.Equal(before, p.Update) {
		t.Error("the update changed")
	}
}

// TestHoleFor: the hole is as large as it has to be, and not larger by more
// than the values of an ECDSA signature differ.
func TestHoleFor(t *testing.T) {
	t.Parallel()
	for _, kind := range cmstest.Kinds() {
		s := cmstest.New(t, kind)
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			params := cades.Params{Hash: hash, Certificate: s.Certificate, PAdES: true}
			parts := s.Parts(t, cades.Params{ContentDigest: make([]byte, hash.Size()), Hash: hash, Certificate: s.Certificate, PAdES: true})
			hole, err := pades.HoleFor(pades.HoleSize{Params: params, Chain: parts.Chain, Scheme: s.Scheme})
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			o := options()
			o.Hole = hole
			content := build("", catalog, pages, page)
			p := mustPrepare(t, content, o)
			sign(t, s, content, p, hash)
			der, err := p.Layout.Extract(p.Update)
			if err != nil {
				t.Fatal(err)
			}
			if slack := hole - len(der); slack < 0 || slack > 8 {
				t.Errorf("%s, %v: got a hole of %d for %d octets", kind, hash, hole, len(der))
			}
			larger, err := pades.HoleFor(pades.HoleSize{Params: params, Chain: parts.Chain, Scheme: s.Scheme, Token: pades.TokenRoom})
			if err != nil || larger < hole+pades.TokenRoom || larger > hole+pades.TokenRoom+100 {
				t.Errorf("%s, %v: got a hole of %d (%v) with a token", kind, hash, larger, err)
			}
		}
	}
}

func TestEmbedTooLarge(t *testing.T) {
	t.Parallel()
	o := options()
	o.Hole = 100
	p := mustPrepare(t, testdata(t, "cairo.pdf"), o)
	if got := p.Layout.Hole(); got != 100 {
		t.Errorf("got a hole of %d, want 100", got)
	}
	if err := p.Layout.Embed(p.Update, make([]byte, 100)); err != nil {
		t.Errorf("filling the hole: %v", err)
	}
	if err := p.Layout.Embed(p.Update, make([]byte, 101)); !errors.Is(err, pades.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, pades.ErrTooLarge)
	}
	if _, err := p.Layout.Extract(p.Update); !errors.Is(err, pades.ErrLayout) {
		t.Errorf("got %v of a hole full of zeros, want %v", err, pades.ErrLayout)
	}
}

// TestMutations changes a thousand octets of a signed document, one at a time:
// none may verify, whether in what is covered or in the signature itself. (The
// issuer's certificate travels along in the signature and is judged by the path.)
func TestMutations(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	content := testdata(t, "pdf-lib-form.pdf")
	o := options()
	o.Stamp = stamped(stamp.BottomLeft)
	p := mustPrepare(t, content, o)
	signed := sign(t, s, content, p, crypto.SHA256)
	issuer := hex.AppendEncode(nil, s.Root.Raw)
	from := bytes.Index(signed, issuer)
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		at := random.IntN(len(signed))
		if at >= from && at < from+len(issuer) {
			continue
		}
		mutant := bytes.Clone(signed)
		mutant[at] ^= 1 << random.IntN(8)
		if err := p.Layout.Verify(bytes.NewReader(mutant[:len(content)]), mutant[len(content):], s.Certificate); err == nil {
			t.Errorf("octet %d: a changed document verifies", at)
		}
	}
	other := cmstest.New(t, "p256")
	if err := p.Layout.Verify(bytes.NewReader(content), p.Update, other.Certificate); err == nil {
		t.Error("verifies for somebody else")
	}
}

// TestLayoutCheck: no other layout passes for a prepared document.
func TestLayoutCheck(t *testing.T) {
	t.Parallel()
	content := testdata(t, "pdf-lib.pdf")
	o := options()
	o.Stamp = stamped(stamp.TopRight)
	p := mustPrepare(t, content, o)
	size := int64(len(content) + len(p.Update))
	rapid.Check(t, func(t *rapid.T) {
		l := p.Layout
		l.Shown = append([]stamp.Slot{}, l.Shown...)
		field := rapid.SampledFrom([]*int64{
			&l.Original, &l.ByteRangeAt, &l.HoleStart, &l.HoleEnd, &l.TimeAt, &l.Size, &l.Shown[0].Offset,
		}).Draw(t, "field")
		*field += rapid.Int64Range(-size, size).Filter(func(n int64) bool {
			return n != 0 && (field != &l.TimeAt || *field+n != 0) // no time is a layout too
		}).Draw(t, "shift")
		if err := l.Check(p.Update); !errors.Is(err, pades.ErrLayout) {
			t.Errorf("%+v passes", l)
		}
		if _, err := l.Digest(bytes.NewReader(content), p.Update, crypto.SHA256); !errors.Is(err, pades.ErrLayout) {
			t.Errorf("%+v is hashed", l)
		}
	})
}
