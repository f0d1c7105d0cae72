package cades_test

import (
	"bytes"
	"crypto"
	"testing"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// TestExtending: whatever is added to a message in whatever order, by whomever
// of its signers, all that stood there before stays sound, and no level falls.
func TestExtending(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizens := []entity{p.citizen(t, "p256"), p.citizen(t, "p384"), p.citizen(t, "rsa")}
	content := []byte("Solicitud de ayuda al alquiler\r\n")
	hashes := rapid.SampledFrom([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512})
	rapid.Check(t, func(rt *rapid.T) {
		who := []entity{rapid.SampledFrom(citizens).Draw(rt, "signer")}
		m := p.sign(t, who[0], content, suite{hash: hashes.Draw(rt, "hash")}, rapid.Bool().Draw(rt, "attached"))
		reached := []cades.Level{cades.BB}
		stamps := []int{0}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			i, hash := rapid.IntRange(0, len(who)-1).Draw(rt, "of"), hashes.Draw(rt, "by")
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				p.lift(t, m, i, who[i], content, hash, cades.BT)
				stamps[i]++
			case 1:
				p.lift(t, m, i, who[i], content, hash, cades.BLT)
			case 2:
				p.lift(t, m, i, who[i], content, hash, cades.BLTA)
				stamps[i]++
			case 3:
				c := rapid.SampledFrom(citizens).Draw(rt, "co-signer")
				must(t, m.AddSigner(p.parts(t, c, content, suite{hash: hash})))
				who, reached, stamps = append(who, c), append(reached, cades.BB), append(stamps, 0)
			}
			der := encode(t, m)
			if !bytes.Equal(encode(t, open(t, der)), der) {
				rt.Fatal("read and written again, the message is another")
			}
			for i := range who {
				reached[i] = sound(rt, m, i, content, stamps[i], reached[i])
			}
		}
	})
}

// sound checks one signature with all its time-stamps, and gives its level.
func sound(rt *rapid.T, m *cms.Message, signer int, content []byte, count int, before cades.Level) cades.Level {
	rt.Helper()
	s := m.Signers[signer]
	if err := s.Verify(s.Certificate(m.Certificates), digest(s.Hash, content)); err != nil {
		rt.Fatalf("signer %d: %v", signer, err)
	}
	stamps, err := cades.TimeStamps(m, signer)
	if err != nil || len(stamps) != count {
		rt.Fatalf("signer %d: got %d time-stamps, %v, want %d", signer, len(stamps), err, count)
	}
	for _, t := range stamps {
		if err := t.Check(bytes.NewReader(content)); err != nil {
			rt.Fatalf("signer %d, %s: %v", signer, t.Kind, err)
		}
	}
	level := cades.LevelOf(m, signer)
	if !level.AtLeast(before) {
		rt.Fatalf("signer %d: level fell from %q to %q", signer, before, level)
	}
	return level
}

// TestMerge: nothing twice, nothing lost, whatever the order.
func TestMerge(t *testing.T) {
	t.Parallel()
	values := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 1, 2))
	rapid.Check(t, func(rt *rapid.T) {
		a := cades.Evidence{OCSPs: values.Draw(rt, "a"), CRLs: values.Draw(rt, "b")}
		b := cades.Evidence{OCSPs: values.Draw(rt, "c"), CRLs: values.Draw(rt, "d")}
		merged := a.Merge(b)
		count := map[string]int{}
		for _, der := range merged.OCSPs {
			count[string(der)]++
		}
		want := map[string]int{}
		for _, der := range append(append([][]byte{}, a.OCSPs...), b.OCSPs...) {
			want[string(der)] = 1
		}
		if len(count) != len(want) || len(merged.OCSPs) != len(want) {
			rt.Fatalf("got %d values, want %d", len(merged.OCSPs), len(want))
		}
		if merged.Empty() != (a.Empty() && b.Empty()) || len(merged.Merge(b).CRLs) != len(merged.CRLs) {
			rt.Fatal("merged twice, it is not the same")
		}
	})
}
