package pades_test

import (
	"bytes"
	"crypto"
	"strings"
	"testing"

	"github.com/digitorus/pdfsign"

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
				document, err := pdfsign.Open(bytes.NewReader(signed), int64(len(signed)))
				if err != nil {
					t.Fatalf("pdfsign: %v", err)
				}
				found := document.Verify().TrustSelfSigned(true).SkipRevocationCheck(true).ExternalChecks(false).Signatures()
				if len(found) != 1 {
					t.Fatalf("pdfsign finds %d signatures, want 1", len(found))
				}
				got := found[0]
				if got.Reason != o.Reason || got.Location != o.Location {
					t.Errorf("pdfsign reads %q, %q; want %q, %q", got.Reason, got.Location, o.Reason, o.Location)
				}
				// It wants usages of a certificate that EN 319 412-2 does not: of the
				// signature itself it has no complaint.
				for _, complaint := range got.Errors {
					if !strings.HasPrefix(complaint.Error(), "certificate ") {
						t.Errorf("pdfsign: %v", complaint)
					}
				}
				if !got.SigningTime.Equal(claimed) {
					t.Errorf("pdfsign reads the time %v, want %v", got.SigningTime, claimed)
				}
			})
		}
	}
}
