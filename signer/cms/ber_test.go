package cms_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// loosen writes a DER element as BER allows: with indefinite lengths, and with
// octet strings in pieces, wherever choose says so.
func loosen(tb testing.TB, der []byte, choose func(int) int) []byte {
	tb.Helper()
	var e asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &e); err != nil || len(rest) > 0 {
		tb.Fatalf("test bug: %v", err)
	}
	if !e.IsCompound {
		if der[0] == 0x04 && choose(3) == 0 {
			return pieces(e.Bytes, choose, 3)
		}
		return der
	}
	var body []byte
	for rest := e.Bytes; len(rest) > 0; {
		var child asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &child); err != nil {
			tb.Fatalf("test bug: %v", err)
		}
		body = append(body, loosen(tb, child.FullBytes, choose)...)
	}
	return element(der[0], body, choose(2) == 0)
}

func pieces(octets []byte, choose func(int) int, depth int) []byte {
	var body []byte
	for len(octets) > 0 && choose(8) > 0 {
		n := 1 + choose(len(octets))
		if depth > 0 && choose(4) == 0 {
			body = append(body, pieces(octets[:n], choose, depth-1)...)
		} else {
			body = append(body, element(0x04, octets[:n], false)...)
		}
		octets = octets[n:]
	}
	if len(octets) > 0 || choose(2) == 0 {
		body = append(body, element(0x04, octets, false)...)
	}
	return element(0x24, body, choose(2) == 0)
}

// element has a length in eight octets at times, as BER allows; never inside
// what a signature covers, where it could not be taken back.
func element(identifier byte, body []byte, indefinite bool) []byte {
	if indefinite {
		return append(append([]byte{identifier, 0x80}, body...), 0, 0)
	}
	var length []byte
	switch n := len(body); {
	case n < 0x80:
		length = []byte{byte(n)}
	case n < 0x100:
		length = []byte{0x81, byte(n)}
	case n < 0x10000:
		length = []byte{0x82, byte(n >> 8), byte(n)}
	default:
		length = []byte{0x83, byte(n >> 16), byte(n >> 8), byte(n)}
	}
	return append(append([]byte{identifier}, length...), body...)
}

// rich is a message with all that ours may have.
func rich(tb testing.TB, content []byte) []byte {
	tb.Helper()
	authority := cmstest.NewAuthority(tb)
	a, b := authority.Signer(tb, "p256"), authority.Signer(tb, "p384")
	var attached bytes.Buffer
	m := open(tb, a.Sign(tb, content, crypto.SHA256))
	if err := m.WriteAttached(&attached, bytes.NewReader(content), int64(len(content))); err != nil {
		tb.Fatal(err)
	}
	m = open(tb, attached.Bytes())
	if err := errors.Join(
		m.AddSigner(b.Parts(tb, params(b, content, crypto.SHA512))),
		m.AddUnsigned(1, cms.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: element(4, bytes.Repeat([]byte("v"), 300), false)}),
		m.AddUnsigned(1, cms.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}),
		m.AddRevocations([][]byte{authority.CRL(tb, nil)}, [][]byte{authority.OCSP(tb, a.Certificate, nil)}),
	); err != nil {
		tb.Fatal(err)
	}
	return written(tb, m)
}

// TestBER: however loosely a message is written, it is read as the same one, and
// written as DER again.
func TestBER(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("contenido "), 100)
	der := rich(t, content)
	verified(t, open(t, der), content)
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		loose := loosen(t, der, rand.New(rand.NewPCG(seed, 0)).IntN)
		m, err := cms.Open(bytes.NewReader(loose), int64(len(loose)))
		if err != nil {
			rt.Fatalf("opening: %v", err)
		}
		got, err := io.ReadAll(m.Content())
		if err != nil || !bytes.Equal(got, content) || m.ContentSize() != int64(len(content)) {
			rt.Errorf("content: %d octets, %v", len(got), err)
		}
		var again bytes.Buffer
		if err := m.Write(&again); err != nil || !bytes.Equal(again.Bytes(), der) {
			rt.Errorf("writing again: %v", err)
		}
		padded, err := cms.Trim(append(loose, make([]byte, seed%9)...))
		if err != nil || !bytes.Equal(padded, loose) {
			rt.Errorf("Trim: %d octets, %v; want %d", len(padded), err, len(loose))
		}
	})
}

// TestOpenRefuses what is no SignedData, or would cost too much to read.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	content := []byte("contenido")
	good := rich(t, content)
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(good, &info); err != nil {
		t.Fatal(err)
	}
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1<<16)
	nested := bytes.Repeat([]byte{0x24, 0x80}, 100)
	head := good[:bytes.Index(good, content)-2]
	for name, der := range map[string][]byte{
		"nothing":               {},
		"a PDF":                 []byte("%PDF-1.7\n"),
		"EnvelopedData":         element(0x30, []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3, 0xa0, 2, 0x30, 0}, false),
		"more behind":           append(bytes.Clone(good), 0),
		"cut":                   good[:len(good)-1],
		"no end":                append([]byte{0x30, 0x80}, good[4:]...),
		"deep":                  deep,
		"deep in the tail":      append(append([]byte{0x30, 0x80}, good[4:bytes.Index(good, content)+len(content)]...), deep...),
		"pieces of pieces":      append(append([]byte{}, head...), nested...),
		"length above the file": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 6, 1},
		"length of 2^63":        {0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 6, 1},
		"length of lengths":     {0x30, 0xff, 1, 2, 3},
		"indefinite primitive":  {0x30, 0x80, 6, 0x80, 0, 0, 0, 0},
	} {
		m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
		if !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%s: got %v, %v; want %v", name, m, err, cms.ErrMalformed)
		}
	}
	for i := range good {
		if _, err := cms.Open(bytes.NewReader(good[:i]), int64(i)); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("the first %d octets: got %v, want %v", i, err, cms.ErrMalformed)
		}
	}
	if _, err := cms.Open(bytes.NewReader(good[:100]), int64(len(good))); err == nil || errors.Is(err, cms.ErrMalformed) {
		t.Errorf("a source that is shorter than it says: got %v, want an error of reading", err)
	}
	if _, err := cms.Trim(append(bytes.Clone(good), 0, 1)); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("Trim: got %v, want %v", err, cms.ErrMalformed)
	}
}

// generator gives the octets of a large document without having them.
type generator struct {
	size    int64
	pattern []byte
}

func (g generator) ReadAt(b []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(b)), g.size-off)))
	for done := 0; done < n; {
		done += copy(b[done:n], g.pattern[(off+int64(done))%int64(len(g.pattern)):])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (g generator) reader() io.Reader { return io.NewSectionReader(g, 0, g.size) }

// joined reads several sources as one.
type joined []*io.SectionReader

func (j joined) size() (n int64) {
	for _, part := range j {
		n += part.Size()
	}
	return n
}

func (j joined) ReadAt(b []byte, off int64) (int, error) {
	done := 0
	for _, part := range j {
		if off < part.Size() && done < len(b) {
			n, err := part.ReadAt(b[done:min(len(b), done+int(part.Size()-off))], off)
			if done += n; err != nil && !errors.Is(err, io.EOF) {
				return done, err
			}
			off += int64(n)
		}
		off -= part.Size()
	}
	if done < len(b) {
		return done, io.EOF
	}
	return done, nil
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// edge keeps what is written before and behind a content of so many octets.
type edge struct {
	size, at   int64
	head, tail []byte
	start      int64
}

func (e *edge) Write(b []byte) (int, error) {
	for i, o := range b {
		switch at := e.at + int64(i); {
		case at < e.start:
			e.head = append(e.head, o)
		case at >= e.start+e.size:
			e.tail = append(e.tail, o)
		}
	}
	e.at += int64(len(b))
	return len(b), nil
}

// TestConstantMemory attaches, opens, verifies, extends and writes 100 MB, in one
// piece and in pieces.
// It is not parallel: it measures the memory of the whole process.
func TestConstantMemory(t *testing.T) {
	const size = 100 << 20
	document := generator{size: size, pattern: bytes.Repeat([]byte("documento "), 1000)}
	s := cmstest.New(t, "p256")
	h := crypto.SHA256.New()
	if _, err := io.Copy(h, document.reader()); err != nil {
		t.Fatal(err)
	}
	p := params(s, nil, crypto.SHA256)
	p.ContentDigest = h.Sum(nil)
	detached := s.SignParams(t, p)
	m := open(t, detached)

	// Where the content begins does not depend on what it is.
	out := &edge{size: 1 << 62, start: 200}
	if err := m.WriteAttached(out, document.reader(), size); err != nil {
		t.Fatal(err)
	}
	prefix := int64(bytes.Index(out.head, []byte{0x04, 0x84}) + 6)
	out = &edge{size: size, start: prefix}

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	if err := cms.Attach(out, detached, document.reader(), size); err != nil {
		t.Fatal(err)
	}
	whole := joined{section(out.head), io.NewSectionReader(document, 0, size), section(out.tail)}
	const piece = 1 << 16
	loose := joined{section(indefinite(out.head))}
	for off := int64(0); off < size; off += piece {
		loose = append(loose, section([]byte{0x04, 0x83, 1, 0, 0}), io.NewSectionReader(document, off, piece))
	}
	loose = append(loose, section(make([]byte, 6)), section(out.tail), section(make([]byte, 6)))
	for name, source := range map[string]joined{"one piece": whole, "pieces": loose} {
		m, err := cms.Open(source, source.size())
		if err != nil {
			t.Fatalf("%s: opening: %v", name, err)
		}
		digests, err := m.Digests(nil)
		if err != nil || m.ContentSize() != size {
			t.Fatalf("%s: %d octets, %v", name, m.ContentSize(), err)
		}
		if err := m.Signers[0].Verify(s.Certificate, digests[crypto.SHA256]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := m.AddUnsigned(0, cms.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}); err != nil {
			t.Fatal(err)
		}
		if err := m.Write(io.Discard); err != nil {
			t.Errorf("%s: writing: %v", name, err)
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("%d MB allocated in all, want at most 16", used>>20)
	}
	t.Logf("%v; %d KB allocated in all", took, (after.TotalAlloc-before.TotalAlloc)>>10)
}

// indefinite opens the elements around a content as BER allows it, and the
// content in pieces.
func indefinite(head []byte) []byte {
	for _, identifier := range []byte{0x30, 0xa0, 0x04} { // with lengths of 100 MB
		head = bytes.ReplaceAll(head, []byte{identifier, 0x84, 0x06}, []byte{identifier, 0x80, 0xff, 0xff})
	}
	for at := bytes.Index(head, []byte{0x80, 0xff, 0xff}); at >= 0; at = bytes.Index(head, []byte{0x80, 0xff, 0xff}) {
		head = append(head[:at+1:at+1], head[at+6:]...)
	}
	head[len(head)-2] = 0x24
	return head
}

// TestSizeBound: the bound is what a signature with the longest value has.
func TestSizeBound(t *testing.T) {
	t.Parallel()
	values := map[string]int{"rsa": 256, "pss": 256, "p256": 72, "p384": 104}
	for _, kind := range cmstest.Kinds() {
		s := cmstest.New(t, kind)
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			t.Run(fmt.Sprintf("%s/%v", kind, hash), func(t *testing.T) {
				t.Parallel()
				for i := range 24 {
					parts := s.Parts(t, params(s, []byte{byte(i)}, hash))
					der, err := cms.Assemble(parts)
					if err != nil {
						t.Fatal(err)
					}
					sizes := cms.Sizes{
						Certificate: s.Certificate, Chain: parts.Chain, Hash: hash, Scheme: s.Scheme,
						SignedAttributes: len(parts.SignedAttributes),
					}
					bound, err := cms.SizeBound(sizes)
					if err != nil || len(der) > bound {
						t.Fatalf("got %d octets, bound %d (%v)", len(der), bound, err)
					}
					if want := len(der) + values[kind] - len(parts.Signature); bound != want {
						t.Fatalf("got a bound of %d, want %d", bound, want)
					}
					attribute := cms.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: element(4, make([]byte, 4000), false)}
					set, err := cms.EncodeAttributes(attribute)
					if err != nil {
						t.Fatal(err)
					}
					sizes.Unsigned = len(set) - 4
					if bound, err = cms.SizeBound(sizes); err != nil {
						t.Fatal(err)
					}
					m := open(t, der)
					if err := m.AddUnsigned(0, attribute); err != nil {
						t.Fatal(err)
					}
					if got := len(written(t, m)); got > bound || got < bound-8 {
						t.Errorf("with an unsigned attribute: got %d octets, bound %d", got, bound)
					}
				}
			})
		}
	}
	p521 := cmstest.New(t, "p521")
	if _, err := cms.SizeBound(cms.Sizes{Certificate: p521.Certificate, Hash: crypto.SHA512, SignedAttributes: 100}); !errors.Is(err, cms.ErrUnsupported) {
		t.Errorf("P-521: got %v, want %v", err, cms.ErrUnsupported)
	}
}
