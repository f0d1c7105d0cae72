package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// FuzzAnswer reads OCSP answers.
func FuzzAnswer(f *testing.F) {
	w := newWorld(f)
	f.Add(w.answer(f, w.signer, day(0), good))
	f.Add(w.answer(f, w.signer, day(0), revokedAt(day(-1), 1)))
	f.Add([]byte{0x30, 3, 0x0a, 1, 6})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if verify.ReadAnswer(raw) == nil && (raw[0] != 0x30 || !bytes.Contains(raw, []byte{0x2b, 6, 1, 5, 5, 7, 48, 1, 1})) {
			t.Errorf("% x was read as an answer", raw)
		}
	})
}

// FuzzList reads revocation lists.
func FuzzList(f *testing.F) {
	w := newWorld(f)
	f.Add(w.crl(f, w.root, day(0), entry(w.issuing, day(-1), 2)))
	f.Add(w.services(f, day(0)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if verify.ReadList(raw) == nil && raw[0] != 0x30 {
			t.Errorf("% x was read as a list", raw)
		}
	})
}

// FuzzToken reads time-stamps.
func FuzzToken(f *testing.F) {
	w := newWorld(f)
	f.Add(w.token(f, w.unit, day(0), sum(content)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if verify.ReadToken(raw) == nil && !bytes.Contains(raw, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4}) {
			t.Errorf("% x was read as a time-stamp", raw)
		}
	})
}

// FuzzFile validates anything: there is a report or a reason why not, the report
// can be written, and nobody who is not trusted signs.
func FuzzFile(f *testing.F) {
	w := newWorld(f)
	bt := w.toT(f, w.sign(f, w.signer, day(0)), day(0))
	f.Add(bt)
	f.Add(w.toLTA(f, w.toLT(f, bt, w.evidence(f, day(0))), w.unit, day(1)))
	pdf := w.signPDF(f, sample(f), w.signer, pades.Options{Hole: 6 << 10}, time.Time{})
	f.Add(pdf)
	f.Add(w.stampPDF(f, w.store(f, pdf, w.evidence(f, day(0))), w.unit, day(1)))
	f.Add([]byte("%PDF-1.7\n"))
	stranger := newWorld(f).verifier(day(1), w.evidence(f, day(1)))
	known := w.verifier(day(1), w.evidence(f, day(1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, v := range []*verify.Verifier{known, stranger} {
			r, err := v.File(t.Context(), verify.Input{Document: bytes.NewReader(raw), Size: int64(len(raw)), Content: bytes.NewReader(content), ContentSize: int64(len(content))})
			var refusal *policies.Refusal
			if err != nil {
				if !errors.Is(err, verify.ErrNotSigned) && !errors.As(err, &refusal) {
					t.Errorf("got %v, want a reason that is known", err)
				}
				return
			}
			if v == stranger && r.Indication == verify.Passed {
				t.Error("a stranger's signature is valid")
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
			if err := r.WriteText(io.Discard); err != nil {
				t.Error(err)
			}
		}
	})
}
