package requests_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	format "github.com/rubrica-firma/rubrica/signer/pdf"
)

// authority is a time-stamping authority and a collector of evidence that can
// be out of order.
type authority struct {
	h           *house
	stamps      *cmstest.TimeStamps
	mute, blind bool // gives no time-stamps, no evidence
}

func (a *authority) TimeStamp(_ context.Context, hash crypto.Hash, digest []byte) ([]byte, error) {
	if a.mute {
		return nil, policies.Refuse(policies.TimeStampUnavailable)
	}
	return a.stamps.Stamp(a.h, hash, digest), nil //nolint:contextcheck // the test authority waits for nothing
}

func (a *authority) Collect(_ context.Context, w augment.Wanted) (cades.Evidence, error) {
	if a.blind {
		return cades.Evidence{}, policies.Refuse(policies.EvidenceUnavailable)
	}
	root := a.h.signer.Authority
	return cades.Evidence{
		Certificates: []*x509.Certificate{w.Certificate, root.Root, root.Responder.Certificate},
		OCSPs:        [][]byte{root.OCSP(a.h, w.Certificate, nil)},
	}, nil
}

// lifting gives the house an authority.
func (h *house) lifting() *authority {
	h.Helper()
	a := &authority{h: h, stamps: h.signer.Authority.TimeStamps(h, nil)}
	trust := func(context.Context) ([]*x509.Certificate, error) {
		return []*x509.Certificate{h.signer.Authority.Root}, nil
	}
	lifter, err := augment.New(augment.Config{Stamper: a, Evidence: a, Trust: trust, Now: time.Now})
	if err != nil {
		h.Fatal(err)
	}
	h.Augmenter, h.Trust = lifter, trust
	return a
}

// result is the signed document as it is now, and its level as whoever reads it
// finds it.
func (h *house) result(r signer.Request) ([]byte, signer.Document) {
	h.Helper()
	r = h.read(r.ID)
	got, err := h.Result(h.Context(), r, 1)
	if err != nil {
		h.Fatalf("Result: %v", err)
	}
	if got.Level != r.Documents[0].Reached {
		h.Errorf("the result says %s, the request %s", got.Level, r.Documents[0].Reached)
	}
	return whole(h.T, got.File), r.Documents[0]
}

// Whatever fails, the level below is kept, said, and climbed from.
func TestAugment(t *testing.T) {
	t.Parallel()
	for _, upload := range []requests.Upload{pdf(t), text(signer.CAdESDetached), text(signer.CAdESAttached)} {
		t.Run(string(upload.Format), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			upload.Level = cades.BLTA
			r := h.signed(upload)
			a := h.lifting()
			for _, step := range []struct {
				mute, blind bool
				reached     cades.Level
				lacking     policies.Code
			}{
				{true, true, cades.BB, policies.TimeStampUnavailable},
				{false, true, cades.BT, policies.EvidenceUnavailable},
				{false, false, cades.BLTA, ""},
				{true, true, cades.BLTA, ""},
			} {
				a.mute, a.blind = step.mute, step.blind
				err := h.Augment(t.Context(), r.ID)
				wantRefusal(t, err, step.lacking)
				content, d := h.result(r)
				if d.Reached != step.reached || d.Lacking != step.lacking {
					t.Errorf("got %s lacking %q, want %s lacking %q", d.Reached, d.Lacking, step.reached, step.lacking)
				}
				if upload.Format == signer.PAdES {
					h.wantStamps(content, step.reached)
				}
			}
			h.exec(`DELETE FROM contents`, nil)
			if err := h.Augment(t.Context(), r.ID); err != nil {
				t.Errorf("after the retention: %v", err)
			}
		})
	}
}

// wantStamps demands that a PDF has its time-stamp inside the signature, and
// only that of the archive behind it.
func (h *house) wantStamps(content []byte, level cades.Level) {
	h.Helper()
	f, err := format.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		h.Fatal(err)
	}
	all, err := pades.Signatures(f)
	if err != nil {
		h.Fatal(err)
	}
	want := 1
	if level == cades.BLTA {
		want = 2
	}
	if len(all) != want {
		h.Errorf("at %s: got %d signatures and document time-stamps, want %d", level, len(all), want)
	}
	if got, err := pades.LevelOf(f, all[0], all, h.signer.Authority.Root); err != nil || got != level {
		h.Errorf("the document has %s, %v; want %s", got, err, level)
	}
}
