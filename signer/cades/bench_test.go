package cades_test

import (
	"bytes"
	"crypto"
	"io"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// BenchmarkExtend takes a signature from B-B to B-LTA, without what the
// authority does for the two stamps.
func BenchmarkExtend(b *testing.B) {
	p := newPKI(b)
	citizen := p.citizen(b, "p256")
	content := []byte("contenido")
	m := p.sign(b, citizen, content, suite{hash: crypto.SHA256}, false)
	der, evidence := encode(b, m), p.evidence(b, citizen)
	first := p.stamp(b, crypto.SHA256, cades.SignatureImprint(m.Signers[0], crypto.SHA256))
	must(b, cades.AddSignatureTimeStamp(m, 0, first))
	must(b, cades.AddEvidence(m, 0, evidence))
	imprint, _, err := cades.ArchiveImprint(m, 0, bytes.NewReader(content), crypto.SHA256)
	must(b, err)
	second := p.stamp(b, crypto.SHA256, imprint)
	b.ReportAllocs()
	for b.Loop() {
		m := open(b, der)
		must(b, cades.AddSignatureTimeStamp(m, 0, first))
		must(b, cades.AddEvidence(m, 0, evidence))
		_, index, err := cades.ArchiveImprint(m, 0, bytes.NewReader(content), crypto.SHA256)
		must(b, err)
		must(b, cades.AddArchiveTimeStamp(m, 0, second, index))
		must(b, m.Write(io.Discard))
	}
}

// BenchmarkLevelOf reads a B-LTA signature.
func BenchmarkLevelOf(b *testing.B) {
	m := open(b, seed(b, "b-lta.der"))
	b.ReportAllocs()
	for b.Loop() {
		if cades.LevelOf(m, 0) != cades.BLTA {
			b.Fatal("not B-LTA")
		}
	}
}

// zeros is a content of any size that is never held.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// BenchmarkArchiveImprint of 100 MB: its memory does not depend on the content.
func BenchmarkArchiveImprint(b *testing.B) {
	const size = 100 << 20
	p := newPKI(b)
	h := crypto.SHA256.New()
	_, err := io.Copy(h, io.LimitReader(zeros{}, size))
	must(b, err)
	parts := p.parts(b, p.citizen(b, "p256"), nil, suite{hash: crypto.SHA256}, func(p *cades.Params) { p.ContentDigest = h.Sum(nil) })
	der, err := cms.Assemble(parts)
	must(b, err)
	m := open(b, der)
	b.ReportAllocs()
	b.SetBytes(size)
	for b.Loop() {
		_, _, err := cades.ArchiveImprint(m, 0, io.LimitReader(zeros{}, size), crypto.SHA256)
		must(b, err)
	}
}
