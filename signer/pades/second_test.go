package pades_test

import (
	"bytes"
	"crypto"
	"testing"

	"github.com/digitorus/pdfsign/verify"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
)

// TestSecondOpinion has pdfsign find in our signatures what we have put there.
// Its verdict on a whole document is not asked for: it accepts one whose pages
// were replaced afterwards, and one without signatures (docs/adr/0014).
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rsa", "p256"} {
		for _, file := range []string{"cairo.pdf", "ghostscript.pdf", "pdf-lib.pdf", "qpdf-xref-stream.pdf", "qpdf-linearized.pdf", "qpdf-2.0.pdf"} {
			t.Run(kind+" "+file, func(t *testing.T) {
				t.Parallel()
				content := testdata(t, file)
				o := options()
				o.Reason, o.Location = "Adhesión a la petición", "L'Hospitalet, Màlaga, Šibenik"
				signed := sign(t, cmstest.New(t, kind), content, mustPrepare(t, content, o), crypto.SHA256)
				found, err := verify.VerifyWithOptions(bytes.NewReader(signed), int64(len(signed)), &verify.VerifyOptions{SkipRevocationCheck: true})
				if err != nil {
					t.Fatalf("pdfsign: %v", err)
				}
				if len(found.Signers) != 1 {
					t.Fatalf("pdfsign finds %d signatures, want 1", len(found.Signers))
				}
				got := found.Signers[0]
				if !got.ValidSignature || got.Reason != o.Reason || got.Location != o.Location {
					t.Errorf("pdfsign reads %t, %q, %q; want true, %q, %q", got.ValidSignature, got.Reason, got.Location, o.Reason, o.Location)
				}
				if got.SignatureTime == nil || !got.SignatureTime.Equal(claimed) {
					t.Errorf("pdfsign reads the time %v, want %v", got.SignatureTime, claimed)
				}
			})
		}
	}
}
