package verify_test

import (
	"bytes"
	"crypto"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// A CMS around a PDF is a CMS, though the PDF's header stands near its beginning.
func TestLooksLikePDF(t *testing.T) {
	t.Parallel()
	content := []byte("%PDF-1.7\n…")
	var around bytes.Buffer
	if err := cms.Attach(&around, cmstest.New(t, "p256").Sign(t, content, crypto.SHA256), bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		head []byte
		want bool
	}{
		"PDF":              {content, true},
		"PDF behind bytes": {append([]byte("<html>"), content...), true},
		"CMS around a PDF": {around.Bytes(), false},
		"text":             {[]byte("Estimado señor:"), false},
		"nothing":          {nil, false},
	} {
		if got := verify.LooksLikePDF(tc.head); got != tc.want {
			t.Errorf("%s: got %t, want %t", name, got, tc.want)
		}
	}
}
