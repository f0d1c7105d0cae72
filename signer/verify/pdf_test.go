package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

func sample(tb testing.TB) []byte {
	tb.Helper()
	document, err := os.ReadFile("../../testdata/pdf/solicitud.pdf")
	must(tb, err)
	return document
}

func open(tb testing.TB, document []byte) *pdf.File {
	tb.Helper()
	f, err := pdf.Open(bytes.NewReader(document), int64(len(document)))
	must(tb, err)
	return f
}

// signPDF appends a PAdES signature; with a time, a B-T one.
func (w *world) signPDF(tb testing.TB, document []byte, by entity, o pades.Options, stamped time.Time) []byte {
	tb.Helper()
	o.Time = day(0)
	p, err := pades.Prepare(open(tb, document), o)
	must(tb, err)
	return w.complete(tb, document, p, func(digest []byte) []byte {
		der := w.signParams(tb, by, cades.Params{ContentDigest: digest, Hash: crypto.SHA256, Certificate: by.Certificate, PAdES: true})
		if !stamped.IsZero() {
			der = w.toT(tb, der, stamped)
		}
		return der
	})
}

func (*world) complete(tb testing.TB, document []byte, p *pades.Prepared, signature func(digest []byte) []byte) []byte {
	tb.Helper()
	digest, err := p.Layout.Digest(bytes.NewReader(document), p.Update, crypto.SHA256)
	must(tb, err)
	must(tb, p.Layout.Embed(p.Update, signature(digest)))
	return append(bytes.Clone(document), p.Update...)
}

// store appends a DSS.
func (*world) store(tb testing.TB, document []byte, e cades.Evidence) []byte {
	tb.Helper()
	update, err := pades.AddEvidence(open(tb, document), nil, e)
	must(tb, err)
	return append(bytes.Clone(document), update...)
}

// stampPDF appends a document time-stamp.
func (w *world) stampPDF(tb testing.TB, document []byte, unit entity, at time.Time) []byte {
	tb.Helper()
	p, err := pades.PrepareTimeStamp(open(tb, document), 0)
	must(tb, err)
	return w.complete(tb, document, p, func(digest []byte) []byte { return w.token(tb, unit, at, digest) })
}

func checkPDF(tb testing.TB, v *verify.Verifier, document []byte) *verify.Report {
	tb.Helper()
	r, err := v.File(tb.Context(), verify.Input{Document: bytes.NewReader(document), Size: int64(len(document))})
	must(tb, err)
	return r
}

// TestPDFLevels is TestLevels for EN 319 142-1, where time-stamps over the whole
// document prove more than those inside a signature.
func TestPDFLevels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bb := w.signPDF(t, sample(t), w.signer, pades.Options{Reason: "Solicitud"}, time.Time{})
	bt := w.signPDF(t, sample(t), w.signer, pades.Options{}, day(0))
	evidence := w.evidence(t, day(0).Add(time.Minute))
	blt := w.store(t, bt, evidence)
	blta := w.stampPDF(t, blt, w.unit, day(1))
	lists := func(at time.Time) cades.Evidence { return cades.Evidence{CRLs: w.evidence(t, at).CRLs} }
	for _, test := range []struct {
		name     string
		document []byte
		at       time.Time
		known    cades.Evidence
		want     outcome
	}{
		{"B-B", bb, day(0), evidence, outcome{verify.Passed, "", cades.BB}},
		{"B-T", bt, day(0).Add(time.Hour), evidence, outcome{verify.Passed, "", cades.BT}},
		{"B-T by a document time-stamp", w.stampPDF(t, bb, w.unit, day(0)), day(1), evidence, outcome{verify.Passed, "", cades.BT}},
		{"B-LT", blt, day(1), cades.Evidence{}, outcome{verify.Passed, "", cades.BLT}},
		{"B-LT, responder expired", blt, day(400), lists(day(400)), outcome{verify.Indeterminate, verify.RevocationOutOfBoundsNoPOE, cades.BT}},
		{"B-LTA", blta, day(2), cades.Evidence{}, outcome{verify.Passed, "", cades.BLTA}},
		{"B-LTA, signer and responder expired", blta, day(400), lists(day(400)), outcome{verify.Passed, "", cades.BLTA}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			expect(t, checkPDF(t, w.verifier(test.at, test.known), test.document), test.want)
		})
	}
}

// TestPDFFacts is what the report tells of a signature.
func TestPDFFacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	document := w.signPDF(t, sample(t), w.signer, pades.Options{Reason: "Conforme", Location: "Logroño", Certify: pades.FillAndSign}, day(0))
	other := certify(t, "Otra", &w.issuing, nil)
	document = w.signPDF(t, document, other, pades.Options{}, time.Time{})
	known := w.evidence(t, day(1)).Merge(cades.Evidence{OCSPs: [][]byte{w.answer(t, other, day(1), good)}})
	r := checkPDF(t, w.verifier(day(1), known), document)
	expect(t, r, outcome{verify.Passed, "", cades.BT})
	if len(r.Signatures) != 2 {
		t.Fatalf("got %d signatures, want 2", len(r.Signatures))
	}
	s := r.Signatures[0]
	got := []any{s.Format, s.Structure, s.Signer.Name, s.Signer.Identifier, s.ClaimedTime.UTC(), s.BestTime, s.Proved, s.Algorithm.Digest, s.PDF.Reason, s.PDF.Location, s.PDF.Certifies, s.PDF.Permission, len(s.Chain), r.Signatures[1].Level}
	want := []any{"PAdES", cades.BT, "ESPAÑOL ESPAÑOL JUAN", "IDCES-00000000T", day(0), day(0), true, "SHA-256", "Conforme", "Logroño", true, 2, 3, cades.BB}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s.Chain[0].Revocation.Source != "ocsp" || s.Chain[1].Revocation.Source != "crl" || !s.Chain[2].Anchor {
		t.Errorf("got chain %+v, want OCSP, CRL and an anchor", s.Chain)
	}
	for _, c := range s.PDF.Changes {
		if c.Judgement != "permitted" {
			t.Errorf("got change %+v, want permitted ones", c)
		}
	}
}

// TestAttacks are documents in which a signature covers what it says, and yet
// is not one of what is shown.
func TestAttacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	signed := w.signPDF(t, sample(t), w.signer, pades.Options{}, time.Time{})
	evidence := w.evidence(t, day(0))
	update := func(document []byte, change func(f *pdf.File, u *pdf.Update)) []byte {
		f := open(t, document)
		u := f.NewUpdate()
		change(f, u)
		octets, err := u.Bytes()
		must(t, err)
		return append(bytes.Clone(document), octets...)
	}
	contents := func(f *pdf.File, u *pdf.Update) {
		page, _, err := f.Page(1)
		must(t, err)
		d := page.Dict.Clone()
		d["Contents"] = u.AddStream(pdf.Dict{}, []byte("BT /F1 24 Tf 72 700 Td (Otra cosa) Tj ET"))
		u.Set(page.Ref, d)
	}
	signature := func(f *pdf.File) *pades.Signature {
		all, err := pades.Signatures(f)
		must(t, err)
		return all[0]
	}
	for _, test := range []struct {
		name     string
		document []byte
		want     outcome
	}{
		{"page replaced afterwards", update(signed, contents), outcome{verify.Failed, verify.FormatFailure, ""}},
		{"page replaced, and signed again", w.signPDF(t, update(signed, contents), w.signer, pades.Options{}, time.Time{}), outcome{verify.Failed, verify.FormatFailure, ""}},
		{"signed octet changed", flip(signed, bytes.Index(signed, []byte("/MediaBox"))+12), outcome{verify.Failed, verify.HashFailure, ""}},
		{"something behind the end", append(bytes.Clone(signed), "1 0 obj\n<<>>\nendobj\n"...), outcome{verify.Failed, verify.FormatFailure, ""}},
		{"the same signature in another field", update(signed, func(f *pdf.File, u *pdf.Update) {
			s := signature(f)
			dict, err := f.Dict(s.Ref)
			must(t, err)
			field, err := f.Dict(s.FieldRef)
			must(t, err)
			copied := field.Clone()
			copied["T"], copied["V"] = pdf.TextString("Otra"), u.Add(dict)
			_, catalog := f.Catalog()
			form, err := f.Dict(catalog["AcroForm"])
			must(t, err)
			fields, err := f.Array(form["Fields"])
			must(t, err)
			again := form.Clone()
			again["Fields"] = append(append(pdf.Array{}, fields...), u.Add(copied))
			if ref, ok := catalog["AcroForm"].(pdf.Ref); ok {
				u.Set(ref, again)
				return
			}
			ref, root := f.Catalog()
			root = root.Clone()
			root["AcroForm"] = again
			u.Set(ref, root)
		}), outcome{verify.Failed, verify.FormatFailure, ""}},
		{"Contents redefined by an update", update(signed, func(f *pdf.File, u *pdf.Update) {
			s := signature(f)
			dict, err := f.Dict(s.Ref)
			must(t, err)
			again := dict.Clone()
			again["Reason"] = pdf.TextString("Otra")
			u.Set(s.Ref, again)
		}), outcome{verify.Failed, verify.FormatFailure, ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			expect(t, checkPDF(t, w.verifier(day(0), evidence), test.document), test.want)
		})
	}
	t.Run("no signature", func(t *testing.T) {
		t.Parallel()
		r := checkPDF(t, w.verifier(day(0)), sample(t))
		if r.Indication != verify.Indeterminate || r.SubIndication != verify.SignedDataNotFound {
			t.Errorf("got %v, want no success", r.Conclusion)
		}
	})
}

func flip(document []byte, at int) []byte {
	changed := bytes.Clone(document)
	changed[at] ^= 1
	return changed
}

// TestMutations changes signed documents, one octet each: none may be valid, or
// said to be of a higher level. What may change is listed: octets outside of
// what anybody signed that do not say anything else.
func TestMutations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	evidence := w.evidence(t, day(0))
	document := w.signPDF(t, sample(t), w.signer, pades.Options{Hole: 12 << 10}, day(0))
	der := w.toT(t, w.sign(t, w.signer, day(0)), day(0))
	v := w.verifier(day(0).Add(time.Hour), evidence)
	mutate := func(t *testing.T, original []byte, n int, valid func([]byte) (bool, string)) {
		t.Helper()
		if ok, why := valid(original); !ok {
			t.Fatalf("the original is refused: %s", why)
		}
		seed := make([]byte, 5)
		for range n {
			must2(t, rand.Read, seed)
			at := int(uint32(seed[0])<<24|uint32(seed[1])<<16|uint32(seed[2])<<8|uint32(seed[3])) % len(original)
			changed := bytes.Clone(original)
			changed[at] ^= 1 << (seed[4] % 8)
			if sameHex(original[at], changed[at]) || otherVersion(changed, at) {
				continue
			}
			if ok, _ := valid(changed); ok {
				from := max(at-20, 0)
				t.Errorf("octet %d, 0x%02x made 0x%02x, is still valid: % x", at, original[at], changed[at], original[from:min(at+20, len(original))])
			}
		}
	}
	archived := w.stampPDF(t, w.store(t, document, w.evidence(t, day(0).Add(time.Minute))), w.unit, day(0).Add(2*time.Minute))
	for level, original := range map[cades.Level][]byte{cades.BT: document, cades.BLTA: archived} {
		t.Run("PDF "+string(level), func(t *testing.T) {
			t.Parallel()
			mutate(t, original, 300, func(b []byte) (bool, string) {
				r, err := v.File(context.Background(), verify.Input{Document: bytes.NewReader(b), Size: int64(len(b))})
				if err != nil {
					return false, err.Error()
				}
				return r.Indication == verify.Passed && r.Signatures[0].Level == level, r.Reason
			})
		})
	}
	t.Run("CMS", func(t *testing.T) {
		t.Parallel()
		mutate(t, der, 800, func(b []byte) (bool, string) {
			r, err := v.File(context.Background(), verify.Input{Document: bytes.NewReader(b), Size: int64(len(b)), Content: bytes.NewReader(content), ContentSize: int64(len(content))})
			if err != nil {
				return false, err.Error()
			}
			return r.Indication == verify.Passed && r.Signatures[0].Level == cades.BT, r.Reason
		})
	})
}

// sameHex is whether two octets are one hexadecimal digit, small and capital.
func sameHex(a, b byte) bool {
	return strings.ContainsAny(string(a), "abcdefABCDEF") && strings.EqualFold(string(a), string(b))
}

// otherVersion is whether an octet is a version that CMS knows, too.
func otherVersion(der []byte, at int) bool {
	return at > 2 && der[at-2] == 2 && der[at-1] == 1 && bytes.IndexByte([]byte{1, 3, 4, 5}, der[at]) >= 0
}

func must2(tb testing.TB, read func([]byte) (int, error), b []byte) {
	tb.Helper()
	_, err := read(b)
	must(tb, err)
}
