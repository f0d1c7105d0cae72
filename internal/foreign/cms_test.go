package foreign_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
	"github.com/rubrica-firma/rubrica/internal/pkijs"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// TestMutatedCMS changes CAdES signatures: what was signed, by whom, the value,
// the content, time-stamps and the evidence that they cover.
func TestMutatedCMS(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := bytes.Repeat([]byte("Solicitud de ayuda al alquiler\r\n"), 10)
	for i, level := range []cades.Level{cades.BB, cades.BLTA, cades.BLTA, cades.BT} {
		by, attached := h.signers[i], i%2 == 0
		t.Run(fmt.Sprintf("%s/%s/attached=%v", by.name, level, attached), func(t *testing.T) {
			t.Parallel()
			s := newDesk(t, h).cmsSpecimen(content, by, level, attached)
			t.Logf("\n%v", s.torture(t, mutations(t)*2/5/len(h.signers)))
		})
	}
}

func (d *desk) cmsSpecimen(content []byte, by who, level cades.Level, attached bool) specimen {
	d.tb.Helper()
	was := mutant{octets: d.signedCMS(d.tb, content, by, level, attached)}
	if !attached {
		was.content = content
	}
	stamps := map[cades.Level][2]int{cades.BT: {1, 0}, cades.BLTA: {1, 1}}[level]
	v, tokens := d.verifier(d.tb), tokens(d.tb, was.octets)
	return specimen{
		name: by.name + " " + string(level), mutant: was,
		ours: func(m mutant) error { return ours(d.tb, v, m.octets, m.content, level) },
		judges: []judge{
			{"BouncyCastle", func(m mutant) error { return d.bouncyCastle(m, stamps) }, nil},
			{"openssl", func(m mutant) error { return d.openSSLAll(m.octets, m.content, tokens) }, []string{"evidence 1", "evidence 2", "evidence 3"}},
			{"pkijs", func(m mutant) error { return d.pkijs(m, stamps) }, nil},
		},
		mutate: cmsMutation(d.tb, was, by, level, tokens),
	}
}

// token is where a time-stamp stands in a CMS, and of what it is.
type token struct {
	region

	imprint []byte
}

func tokens(tb testing.TB, der []byte) []token {
	tb.Helper()
	var out []token
	for _, s := range inside(tb, der) {
		out = append(out, token{find(tb, der, s.Token), s.Imprint})
	}
	return out
}

// openSSLAll judges a CMS, and what stands where its time-stamps were.
func (d *desk) openSSLAll(der, content []byte, tokens []token) error {
	d.tb.Helper()
	if err := d.openSSL(der, content); err != nil {
		return err
	}
	for _, t := range tokens {
		if t.to > len(der) {
			return errors.New("the signature is shorter than it was")
		}
		if err := d.openSSLToken(der[t.from:t.to], t.imprint); err != nil {
			return err
		}
	}
	return nil
}

// bouncyCastle judges a CMS, which is not what it was if it has other numbers of
// time-stamps, of the signature and of the archive.
func (d *desk) bouncyCastle(m mutant, stamps [2]int) error {
	d.tb.Helper()
	signers, err := bouncycastle.Signatures(d.tb, bouncycastle.Signature{CMS: m.octets, Content: m.content, Root: d.Root})
	if err != nil {
		return err
	}
	if len(signers) != 1 || stamps != [2]int{len(signers[0].SignatureTimes), len(signers[0].Archives)} {
		return fmt.Errorf("not the time-stamps that were there: %+v", signers)
	}
	return nil
}

func (d *desk) pkijs(m mutant, stamps [2]int) error {
	d.tb.Helper()
	signers, err := pkijs.Signatures(d.tb, m.octets, m.content, d.Root)
	if err != nil {
		return err
	}
	if len(signers) != 1 || stamps != [2]int{len(signers[0].Signature), len(signers[0].Archive)} {
		return fmt.Errorf("not the time-stamps that were there: %+v", signers)
	}
	return nil
}

// cmsMutation gives each part of a signature its share. Spared is what is silent,
// and the copy of the root, of which foreign validators look at their own instead,
// unless an archive time-stamp covers it.
func cmsMutation(tb testing.TB, was mutant, by who, level cades.Level, tokens []token) func(*rand.Rand) mutant {
	tb.Helper()
	spared := silent(tb, was.octets, region{0, len(was.octets)})
	if level != cades.BLTA {
		spared = append(spared, find(tb, was.octets, by.Root.Raw))
	}
	regions := map[string]region{"certificate": find(tb, was.octets, by.Certificate.Raw)}
	for i, t := range tokens {
		regions[fmt.Sprintf("time-stamp %d", i+1)] = t.region
		spared = append(spared, silent(tb, was.octets, t.region)...)
	}
	changed(tb, was.octets, func(m *cms.Message) error {
		regions["signed attributes"] = find(tb, was.octets, m.Signers[0].SignedAttributes[1:]) // its tag is another
		regions["signature value"] = find(tb, was.octets, m.Signers[0].Signature)
		for i, raw := range m.RawRevocations() {
			regions[fmt.Sprintf("evidence %d", i+1)] = find(tb, was.octets, raw)
		}
		return nil
	})
	regions["anywhere"] = region{0, len(was.octets)}
	if was.content != nil {
		regions["content"] = region{0, len(was.content)}
	}
	kinds := slices.Sorted(maps.Keys(regions))
	return func(r *rand.Rand) mutant {
		m := mutant{kind: kinds[r.IntN(len(kinds))], octets: was.octets, content: was.content}
		if m.kind == "content" {
			m.where, m.content = disturb(r, was.content, regions[m.kind])
		} else {
			m.where, m.octets = disturb(r, was.octets, regions[m.kind], spared...)
		}
		return m
	}
}
