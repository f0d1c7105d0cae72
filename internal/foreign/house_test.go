package foreign_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

func levels() []cades.Level { return []cades.Level{cades.BB, cades.BT, cades.BLT, cades.BLTA} }

// who signs, with which hash.
type who struct {
	*cmstest.Signer

	name string
	hash crypto.Hash
}

// house is an authority, a signer of every kind below it, and time-stamps.
type house struct {
	*cmstest.Authority

	stamps  *cmstest.TimeStamps
	signers []who
}

func newHouse(tb testing.TB) house {
	tb.Helper()
	a := cmstest.NewAuthority(tb)
	rsa := a.Signer(tb, "rsa3072") // ETSI TS 119 312 wants no less
	pss := *rsa
	pss.Scheme = cms.PSS
	return house{a, a.TimeStamps(tb, nil), []who{
		{rsa, "PKCS1", crypto.SHA256},
		{&pss, "PSS", crypto.SHA512},
		{a.Signer(tb, "p256"), "P-256", crypto.SHA256},
		{a.Signer(tb, "p384"), "P-384", crypto.SHA384},
	}}
}

// evidence is what a validator needs about some certificates of the house.
func (h house) evidence(tb testing.TB, about ...*x509.Certificate) cades.Evidence {
	tb.Helper()
	e := cades.Evidence{Certificates: append([]*x509.Certificate{h.Root}, about...), CRLs: [][]byte{h.CRL(tb, nil)}}
	for _, c := range about {
		e.OCSPs = append(e.OCSPs, h.OCSP(tb, c, nil))
	}
	return e
}

// verifier is ours, which knows of revocation what documents below B-LT lack.
func (h house) verifier(tb testing.TB) *verify.Verifier {
	tb.Helper()
	about := []*x509.Certificate{h.stamps.Certificate}
	for _, s := range h.signers {
		about = append(about, s.Certificate)
	}
	now := time.Now().Add(time.Minute) // what has just been stamped lies behind
	return &verify.Verifier{
		Trust: []*x509.Certificate{h.Root}, Evidence: h.evidence(tb, about...), Now: func() time.Time { return now },
	}
}

// smallHole is enough for signatures of the house: zeros cost validators time.
const smallHole = 6 << 10

// timeStamped puts a signature-time-stamp into a CMS.
func (h house) timeStamped(tb testing.TB, der []byte) []byte {
	tb.Helper()
	return changed(tb, der, func(m *cms.Message) error {
		hash := m.Signers[0].Hash
		return cades.AddSignatureTimeStamp(m, 0, h.stamps.Stamp(tb, hash, cades.SignatureImprint(m.Signers[0], hash)))
	})
}

func changed(tb testing.TB, der []byte, change func(m *cms.Message) error) []byte {
	tb.Helper()
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	must(tb, err)
	must(tb, change(m))
	var out bytes.Buffer
	must(tb, m.Write(&out))
	return out.Bytes()
}

// sign appends a signature to a PDF, B-B or B-T.
func (h house) sign(tb testing.TB, document []byte, by who, o pades.Options, level cades.Level) []byte {
	tb.Helper()
	o.Time = time.Now().UTC().Truncate(time.Second)
	p, err := pades.Prepare(open(tb, document), o)
	must(tb, err)
	return complete(tb, document, p, by.hash, func(digest []byte) []byte {
		der := by.SignParams(tb, cades.Params{ContentDigest: digest, Hash: by.hash, Certificate: by.Certificate, PAdES: true})
		if level.AtLeast(cades.BT) {
			der = h.timeStamped(tb, der)
		}
		return der
	})
}

// lift brings a PDF of one B-T signature to B-LT or B-LTA.
func (h house) lift(tb testing.TB, document []byte, by who, level cades.Level) []byte {
	tb.Helper()
	signatures, err := pades.Signatures(open(tb, document))
	must(tb, err)
	about := h.evidence(tb, by.Certificate, h.stamps.Certificate)
	update, err := pades.AddEvidence(open(tb, document), []pades.VRI{{Contents: signatures[0].Contents, Evidence: about}}, cades.Evidence{})
	must(tb, err)
	document = join(document, update)
	if level == cades.BLT {
		return document
	}
	p, err := pades.PrepareTimeStamp(open(tb, document), smallHole)
	must(tb, err)
	return complete(tb, document, p, crypto.SHA512, func(digest []byte) []byte { return h.stamps.Stamp(tb, crypto.SHA512, digest) })
}

// signedPDF is a document with a signature of a level.
func (h house) signedPDF(tb testing.TB, document []byte, by who, o pades.Options, level cades.Level) []byte {
	tb.Helper()
	document = h.sign(tb, document, by, o, level)
	if level.AtLeast(cades.BLT) {
		document = h.lift(tb, document, by, level)
	}
	return document
}

// signedCMS is a CAdES signature of a level, attached or detached.
func (h house) signedCMS(tb testing.TB, content []byte, by who, level cades.Level, attached bool) []byte {
	tb.Helper()
	der := by.SignParams(tb, cades.Params{
		ContentDigest: cmstest.Digest(by.hash, content), Hash: by.hash, Certificate: by.Certificate,
		SigningTime: time.Now(), MimeType: "text/plain",
	})
	if attached {
		var out bytes.Buffer
		must(tb, cms.Attach(&out, der, bytes.NewReader(content), int64(len(content))))
		der = out.Bytes()
	}
	if level.AtLeast(cades.BT) {
		der = h.timeStamped(tb, der)
	}
	if level.AtLeast(cades.BLT) {
		der = changed(tb, der, func(m *cms.Message) error {
			return cades.AddEvidence(m, 0, h.evidence(tb, by.Certificate, h.stamps.Certificate))
		})
	}
	if level.AtLeast(cades.BLTA) {
		der = changed(tb, der, func(m *cms.Message) error {
			imprint, index, err := cades.ArchiveImprint(m, 0, bytes.NewReader(content), by.hash)
			must(tb, err)
			return cades.AddArchiveTimeStamp(m, 0, h.stamps.Stamp(tb, by.hash, imprint), index)
		})
	}
	return der
}

func complete(tb testing.TB, document []byte, p *pades.Prepared, hash crypto.Hash, sign func(digest []byte) []byte) []byte {
	tb.Helper()
	digest, err := p.Layout.Digest(bytes.NewReader(document), p.Update, hash)
	must(tb, err)
	must(tb, p.Layout.Embed(p.Update, sign(digest)))
	return join(document, p.Update)
}

func join(document, update []byte) []byte { return append(bytes.Clone(document), update...) }

func open(tb testing.TB, document []byte) *pdf.File {
	tb.Helper()
	f, err := pdf.Open(bytes.NewReader(document), int64(len(document)))
	must(tb, err)
	return f
}

// visible is a signature that one sees.
func visible() pades.Options {
	return pades.Options{Name: "Begoña Núñez", Stamp: &stamp.Options{
		Page: -1, Place: "corner-bottom-right", Name: "Begoña Núñez Ibáñez", Identifier: "***4567**", Reason: "Solicitud",
		Organisation: "Ayuntamiento de Peñaflor", CSV: "ABCD-1234", URL: "https://sede.example/csv/ABCD-1234",
	}}
}

func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pdf", name))
	must(tb, err)
	return content
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
