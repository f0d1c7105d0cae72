package cades_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// FuzzMessage reads levels and time-stamps of anything that is SignedData: it
// does not panic, and a time-stamp is sound only if it can be read.
func FuzzMessage(f *testing.F) {
	f.Add(seed(f, "b-lta.der"))
	f.Fuzz(func(t *testing.T, der []byte) {
		m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
		if err != nil {
			return
		}
		for i := range m.Signers {
			level := cades.LevelOf(m, i)
			stamps, err := cades.TimeStamps(m, i)
			if err != nil {
				t.Fatal(err)
			}
			sound := 0
			for _, s := range stamps {
				_ = s.Covers(der)
				if err := s.Check(bytes.NewReader([]byte("contenido"))); err != nil {
					continue
				}
				if s.Err != nil || s.Kind == "" || len(s.Imprint) != s.Hash.Size() {
					t.Fatalf("got a sound time-stamp %+v", s)
				}
				sound++
			}
			if level.AtLeast(cades.BT) && len(stamps) == 0 || level == cades.BLTA && len(stamps) < 2 {
				t.Fatalf("got %q with %d time-stamps, %d sound", level, len(stamps), sound)
			}
		}
	})
}

// FuzzEvidence: revocation values that are accepted are written as they were, and
// none of them makes a certificate's path complete that it is not about.
func FuzzEvidence(f *testing.F) {
	m := open(f, seed(f, "b-lta.der"))
	for _, der := range slices.Concat(m.OCSPs(), m.CRLs()) {
		f.Add(der)
	}
	certificate := m.Signers[0].Certificate(m.Certificates)
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, e := range []cades.Evidence{{OCSPs: [][]byte{der}}, {CRLs: [][]byte{der}}} {
			m := open(t, seed(t, "b-b.der"))
			missing := cades.Missing([]*x509.Certificate{certificate}, e)
			if len(missing) == 0 || !missing[0].Equal(certificate) {
				t.Fatalf("got %d missing without an issuer", len(missing))
			}
			if err := cades.AddEvidence(m, 0, e); err != nil {
				continue
			}
			again := open(t, encode(t, m))
			if got := slices.Concat(again.OCSPs(), again.CRLs()); len(got) != 1 || !bytes.Equal(got[0], der) {
				t.Fatalf("got %x, want %x", got, der)
			}
		}
	})
}

func seed(tb testing.TB, name string) []byte {
	tb.Helper()
	der, err := os.ReadFile(filepath.Join("testdata", name))
	must(tb, err)
	return der
}
