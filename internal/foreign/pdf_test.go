package foreign_test

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// TestMutatedPDF changes signed documents: octets that a signature or a document
// time-stamp covers, both of them, and what a reader is shown, by a revision
// that is put behind. Not changed is what nobody has signed and says nothing: the
// zeros that fill Contents, and which of two digits a hexadecimal one is.
func TestMutatedPDF(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	specimens := []struct {
		file    string
		signer  int
		options pades.Options
		level   cades.Level
	}{
		{"pdf-lib.pdf", 2, visible(), cades.BT},
		{"qpdf-xref-stream.pdf", 0, pades.Options{Reason: "Conforme"}, cades.BLTA},
		{"pdf-lib-form.pdf", 3, pades.Options{Certify: pades.NoChanges}, cades.BB},
		{"qpdf-linearized-xref-stream.pdf", 1, visible(), cades.BLTA},
	}
	for _, s := range specimens {
		t.Run(fmt.Sprintf("%s/%s/%s", s.file, h.signers[s.signer].name, s.level), func(t *testing.T) {
			t.Parallel()
			d, original := newDesk(t, h), testdata(t, s.file)
			by := h.signers[s.signer]
			s.options.Hole = smallHole
			document := h.signedPDF(t, original, by, s.options, s.level)
			specimen := d.pdfSpecimen(document, len(original), by, s.level)
			specimen.name = s.file
			t.Logf("\n%v", specimen.torture(t, mutations(t)*3/5/len(specimens)))
		})
	}
}

func (d *desk) pdfSpecimen(document []byte, original int, by who, level cades.Level) specimen {
	d.tb.Helper()
	was := mutant{octets: document}
	covered, err := pades.Signatures(open(d.tb, document))
	must(d.tb, err)
	v, tokens := d.verifier(d.tb), readMessage(d.tb, covered[0]).tokens
	found, err := d.pdfBox(document)
	must(d.tb, err)
	return specimen{
		mutant: was,
		ours:   func(m mutant) error { return ours(d.tb, v, m.octets, nil, level) },
		judges: []judge{
			{"PDFBox", func(m mutant) error { return d.pdfBoxFinds(m, found) }, nil},
			{"pdfsig", func(m mutant) error { return d.pdfsig(m.octets) }, []string{"CMS", "validation data", "document time-stamp"}},
			{"openssl", func(m mutant) error { return d.openSSLCovered(m, covered, tokens) }, nil},
			{"pkijs", func(m mutant) error { return d.pkijsCovered(m, covered[0], level) }, nil},
		},
		mutate: pdfMutation(d.tb, document, original, by, covered),
	}
}

// pdfBoxFinds demands that PDFBox still finds what it found: the same signatures and
// time-stamps, and as much validation data. That something stands behind them
// does not matter here, only what it is.
func (d *desk) pdfBoxFinds(m mutant, was read) error {
	d.tb.Helper()
	is, err := d.pdfBox(m.octets)
	if err != nil {
		return err
	}
	is.Whole = was.Whole
	if diff := cmp.Diff(was, is); diff != "" {
		return fmt.Errorf("PDFBox finds something else: %s", diff)
	}
	return nil
}

// openSSLCovered judges the signature, with its time-stamp, and the document
// time-stamp, by the octets that they were over.
func (d *desk) openSSLCovered(m mutant, all []*pades.Signature, tokens []token) error {
	d.tb.Helper()
	for _, s := range all {
		der, content, err := taken(m, s)
		if err != nil {
			return err
		}
		if s.Type == "DocTimeStamp" {
			err = d.openSSLToken(der, digest(crypto.SHA512, content))
		} else {
			err = d.openSSLAll(der, content, tokens)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pkijsCovered judges the signature with its time-stamp, which it finds by itself.
func (d *desk) pkijsCovered(m mutant, s *pades.Signature, level cades.Level) error {
	d.tb.Helper()
	der, content, err := taken(m, s)
	if err != nil {
		return err
	}
	stamps := [2]int{1, 0}
	if level == cades.BB {
		stamps = [2]int{}
	}
	return d.pkijs(mutant{octets: der, content: content}, stamps)
}

// taken gives what stands in a document where a signature and what it covers were.
func taken(m mutant, s *pades.Signature) (der, content []byte, err error) {
	r := s.ByteRange
	if int64(len(m.octets)) < r[2]+r[3] {
		return nil, nil, errors.New("the document is shorter than what was signed")
	}
	if der, err = hex.DecodeString(string(m.octets[r[1]+1 : r[2]-1])); err != nil {
		return nil, nil, fmt.Errorf("no digits: %w", err)
	}
	return der, slices.Concat(m.octets[:r[1]], m.octets[r[2]:r[2]+r[3]]), nil
}

// pdfMutation gives each part of a document its share.
func pdfMutation(tb testing.TB, document []byte, original int, by who, all []*pades.Signature) func(*rand.Rand) mutant {
	tb.Helper()
	const tail = 300 // of cross-reference and trailer
	end := int(all[0].ByteRange[2] + all[0].ByteRange[3])
	regions := map[string]region{
		"document":              {0, original},
		"update up to Contents": {original, int(all[0].ByteRange[1])},
		"update after Contents": {int(all[0].ByteRange[2]), end},
		"end of the update":     {end - tail, end},
	}
	messages := map[string]message{"CMS": readMessage(tb, all[0])}
	if len(all) > 1 {
		regions["validation data"] = region{end, int(all[1].ByteRange[1])}
		messages["document time-stamp"] = readMessage(tb, all[1])
	} else { // foreign validators look at their own root instead, and no time-stamp covers this one
		m := messages["CMS"]
		m.spared = append(m.spared, find(tb, m.der, by.Root.Raw))
		messages["CMS"] = m
	}
	kinds := slices.Sorted(maps.Keys(regions))
	kinds = append(kinds, slices.Sorted(maps.Keys(messages))...)
	kinds = append(kinds, "truncated", "revision", "revision") // there are many ways
	return func(r *rand.Rand) mutant {
		m := mutant{kind: kinds[r.IntN(len(kinds))]}
		if within, ok := regions[m.kind]; ok {
			m.where, m.octets = disturb(r, document, within)
			return m
		}
		if message, ok := messages[m.kind]; ok {
			m.where, m.octets = message.disturb(r, document)
			return m
		}
		if m.kind == "truncated" {
			n := 1 + r.IntN(len(document)-original)
			m.where, m.octets = fmt.Sprintf("%d octets at the end", n), bytes.Clone(document[:len(document)-n])
			return m
		}
		m.where, m.octets = addRevision(tb, r, document)
		return m
	}
}

// message is the CMS in Contents.
type message struct {
	der    []byte
	hole   region // between the angle brackets
	tokens []token
	spared []region
}

func readMessage(tb testing.TB, s *pades.Signature) message {
	tb.Helper()
	der, err := s.CMS()
	must(tb, err)
	m := message{der: der, hole: region{int(s.ByteRange[1]) + 1, int(s.ByteRange[2]) - 1}, spared: silent(tb, der, region{0, len(der)})}
	if s.Type != "DocTimeStamp" {
		m.tokens = tokens(tb, der)
	}
	for _, t := range m.tokens {
		m.spared = append(m.spared, silent(tb, der, t.region)...)
	}
	return m
}

func (m message) disturb(r *rand.Rand, document []byte) (string, []byte) {
	where, der := disturb(r, m.der, region{0, len(m.der)}, m.spared...)
	out := bytes.Clone(document)
	contents := out[m.hole.from:m.hole.to]
	for i := range contents {
		contents[i] = '0'
	}
	hex.Encode(contents, der)
	return where, out
}
