package foreign_test

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// seed makes the choice of what is changed the same in every run. The keys and
// the times of the signatures are others each time.
const seed = 5

// mutations is how many changed documents are judged in all; a campaign asks
// for more by RUBRICA_MUTATIONS.
func mutations(tb testing.TB) int {
	tb.Helper()
	text := os.Getenv("RUBRICA_MUTATIONS")
	if text == "" {
		return 1000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		tb.Fatalf("RUBRICA_MUTATIONS is %q, want a number", text)
	}
	return n
}

// mutant is a signed document or signature that was changed.
type mutant struct {
	kind    string // what was changed, for the table
	where   string
	octets  []byte
	content []byte // of a detached CMS
}

// judge is a validator that nobody here wrote; it gives an error to reject. It
// is asked last about kinds of changes that it does not look at.
type judge struct {
	name  string
	judge func(m mutant) error
	blind []string
}

// specimen is what is changed, and who has accepted it as it was.
type specimen struct {
	name   string
	mutant // as it was
	ours   func(m mutant) error
	judges []judge
	mutate func(r *rand.Rand) mutant
}

// enough is how many foreign validators have to reject each mutant.
const enough = 2

// torture demands that our verifier and two others reject n mutants. The
// judges are asked in their order until enough have rejected.
func (s specimen) torture(t *testing.T, n int) tally {
	t.Helper()
	if err := s.ours(s.mutant); err != nil {
		t.Fatalf("our verifier rejects what is right: %v", err)
	}
	for _, j := range s.judges {
		if err := j.judge(s.mutant); err != nil {
			t.Fatalf("%s rejects what is right: %v", j.name, err)
		}
	}
	counts, mild := tally{}, 0
	for i := range n {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		m := s.mutate(r)
		if bytes.Equal(m.octets, s.octets) && bytes.Equal(m.content, s.content) {
			t.Fatalf("mutant %d, %s: nothing was changed", i, m.kind)
		}
		row := counts.row(m.kind)
		row.mutants++
		if err := s.ours(m); err == nil {
			s.report(t, i, m, "our verifier accepts")
		}
		rejections := 0
		for _, j := range s.order(m.kind) {
			if rejections == enough {
				break
			}
			err := j.judge(m)
			switch {
			case err == nil:
				row.accepted[j.name]++
			case errors.Is(err, errUnjudged):
				row.silent[j.name]++
			default:
				row.rejected[j.name]++
				rejections++
			}
		}
		if rejections >= enough {
			continue
		}
		what := fmt.Sprintf("rejected by %d foreign validators, want %d", rejections, enough)
		if mild++; mild > max(1, n/forbearance) {
			s.report(t, i, m, what)
			continue
		}
		t.Logf("mutant %d of %s, %s, %s: %s", i, s.name, m.kind, m.where, what)
	}
	return counts
}

// forbearance is of how many mutants one may please one more foreign validator
// than it should. Keys and so octets are new each time, and what others pass over
// is not ours to mend; our own verifier has none.
const forbearance = 250

func (s specimen) order(kind string) []judge {
	blind := func(j judge) int {
		if slices.Contains(j.blind, kind) {
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(s.judges), func(a, b judge) int { return blind(a) - blind(b) })
}

// report keeps the mutant: go test -artifacts -outputdir DIR says where.
func (s specimen) report(t *testing.T, i int, m mutant, what string) {
	t.Helper()
	path := filepath.Join(t.ArtifactDir(), fmt.Sprintf("%d.bin", i))
	if err := os.WriteFile(path, m.octets, 0o600); err != nil {
		t.Error(err)
	}
	t.Errorf("mutant %d of %s, %s, %s: %s (%s)", i, s.name, m.kind, m.where, what, path)
}

// tally counts what became of mutants, by kind.
type tally map[string]*row

type row struct {
	mutants                    int
	rejected, accepted, silent map[string]int // by judge
}

func (c tally) row(kind string) *row {
	if c[kind] == nil {
		c[kind] = &row{0, map[string]int{}, map[string]int{}, map[string]int{}}
	}
	return c[kind]
}

func (c tally) String() string {
	var out strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		r := c[kind]
		fmt.Fprintf(&out, "%-24s %5d mutants, rejected by %v", kind, r.mutants, r.rejected)
		if len(r.accepted) > 0 {
			fmt.Fprintf(&out, ", accepted by %v", r.accepted)
		}
		if len(r.silent) > 0 {
			fmt.Fprintf(&out, ", not judged by %v", r.silent)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// region is a part of a file.
type region struct{ from, to int }

func (r region) pick(random *rand.Rand) int { return r.from + random.IntN(r.to-r.from) }

// silent are the parts of a SignedData in a file that nobody signs and that say
// nothing that is not said elsewhere (RFC 5652, 3, 5.1 and 5.3), so that validators
// pass over them: that it is a SignedData; version numbers; the set of digest
// algorithms, which each signer names again; the signer's name and number, where a
// small letter is as good as a capital, and signing-certificate-v2 is signed; and the
// signature algorithm, of which the key says enough. The last is the type of
// the content, which all but BouncyCastle and ours do not compare with the one that
// is signed (11.1).
func silent(tb testing.TB, file []byte, in region) []region {
	tb.Helper()
	var info struct {
		Type    asn1.RawValue
		Content struct {
			Version, Digests asn1.RawValue
			Content          struct{ Type asn1.RawValue }
			Certificates     asn1.RawValue `asn1:"optional,tag:0"`
			Revocations      asn1.RawValue `asn1:"optional,tag:1"`
			Signers          []struct {
				Version, Name, Digest asn1.RawValue
				Attributes            asn1.RawValue `asn1:"optional,tag:0"`
				Algorithm             asn1.RawValue
			} `asn1:"set"`
		} `asn1:"explicit,tag:0"`
	}
	_, err := asn1.Unmarshal(file[in.from:in.to], &info)
	must(tb, err)
	values := []asn1.RawValue{info.Type, info.Content.Version, info.Content.Digests, info.Content.Content.Type}
	for _, s := range info.Content.Signers {
		values = append(values, s.Version, s.Name, s.Algorithm)
	}
	var parts []region
	for _, v := range values {
		parts = append(parts, within(file, v.FullBytes))
	}
	return parts
}

// within is where in a file a part of its own array is.
func within(file, part []byte) region {
	from := cap(file) - cap(part)
	return region{from, from + len(part)}
}

// find gives where octets stand that occur once.
func find(tb testing.TB, file, part []byte) region {
	tb.Helper()
	at := bytes.Index(file, part)
	if at < 0 || len(part) == 0 {
		tb.Fatalf("%d octets do not stand in the file", len(part))
	}
	return region{at, at + len(part)}
}

// disturb changes an octet by a bit, some to others, or adds or takes some away,
// and not beginning where the file is spared.
func disturb(r *rand.Rand, file []byte, in region, spared ...region) (string, []byte) {
	at := in.pick(r)
	for slices.ContainsFunc(spared, func(s region) bool { return at >= s.from && at < s.to }) {
		at = in.pick(r)
	}
	length := 1 + r.IntN(min(16, in.to-at))
	out := bytes.Clone(file)
	switch r.IntN(8) {
	case 0:
		return fmt.Sprintf("%d octets taken away at %d", length, at), slices.Delete(out, at, at+length)
	case 1:
		added := make([]byte, length)
		for i := range added {
			added[i] = byte(r.Uint32())
		}
		return fmt.Sprintf("% x put in at %d", added, at), slices.Insert(out, at, added...)
	case 2:
		for i := range length {
			out[at+i] = byte(r.Uint32())
		}
		out[at] = file[at] ^ byte(1+r.IntN(255))
		return fmt.Sprintf("% x made % x at %d", file[at:at+length], out[at:at+length], at), out
	default:
		out[at] ^= 1 << r.IntN(8)
		return fmt.Sprintf("%02x made %02x at %d, before it % x", file[at], out[at], at, file[max(0, at-12):at]), out
	}
}
