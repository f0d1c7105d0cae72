package audit_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// What LogKey signs, the verifier of others opens.
func TestLogKeySigns(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 3)
	signed := l.Signed(t, 3)
	verifier, err := note.NewVerifier(l.Key(t).VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	read, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		t.Fatal(err)
	}
	if tree := l.Tree(t, 3); read.Origin != audittest.Origin || read.N != 3 || read.Hash != tree.Root || read.Extension != "" {
		t.Errorf("checkpoint: got %+v, want %s and %+v", read, audittest.Origin, tree)
	}
	again, err := audit.ParseCheckpoint(opened.Text)
	if want := (audit.Checkpoint{Origin: l.Origin, Tree: l.Tree(t, 3)}); err != nil || again != want {
		t.Errorf("ParseCheckpoint: got %+v %v, want %+v", again, err, want)
	}
	if _, err := l.Key(t).Sign(audit.Checkpoint{Origin: "other.example/log", Tree: l.Tree(t, 3)}); err == nil {
		t.Error("signing a checkpoint of another log: got no error, want one")
	}
}

// faulty is a key whose signatures do not verify.
type faulty struct{ ed25519.PrivateKey }

func (f faulty) Sign(r io.Reader, message []byte, o crypto.SignerOpts) ([]byte, error) {
	signature, err := f.PrivateKey.Sign(r, message, o)
	signature[3] ^= 1
	return signature, err
}

func TestLogKeyRefuses(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.NewLogKey("a.example/log", other); err == nil {
		t.Error("a key of P-256: got no error, want one")
	}
	for _, origin := range []string{"", "a b", "a+b", "a\nb"} {
		if _, err := audit.NewLogKey(origin, private); err == nil {
			t.Errorf("origin %q: got no error, want one", origin)
		}
	}
	key, err := audit.NewLogKey("a.example/log", faulty{private})
	if err != nil {
		t.Fatal(err)
	}
	empty := audittest.New(t).Tree(t, 0)
	if note, err := key.Sign(audit.Checkpoint{Origin: "a.example/log", Tree: empty}); err == nil || note != nil {
		t.Errorf("a faulty signature: got %q, want none and an error", note)
	}
	empty.Root[0] ^= 1
	good, err := audit.NewLogKey("a.example/log", private)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := good.Sign(audit.Checkpoint{Origin: "a.example/log", Tree: empty}); err == nil {
		t.Error("no entries, with a root: got no error, want one")
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	l := audittest.New(f).Fill(f, 2)
	f.Add(audit.Checkpoint{Origin: l.Origin, Tree: l.Tree(f, 2)}.Text())
	f.Add(audit.Checkpoint{Origin: l.Origin, Tree: l.Tree(f, 0)}.Text())
	f.Add("a\n07\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")
	f.Add("a\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nextension\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := audit.ParseCheckpoint(text)
		if err == nil && c.Text() != text {
			t.Errorf("got %q, want %q again", c.Text(), text)
		}
	})
}

// keys are vkeys to write policies with.
type keys struct{ log, log2, w1, w2, w3 string }

func newKeys(tb testing.TB) keys {
	tb.Helper()
	l := audittest.New(tb)
	k := keys{log: l.Key(tb).VerifierKey()}
	l.Origin += "/2"
	k.log2 = l.Key(tb).VerifierKey()
	k.w1, k.w2, k.w3 = audittest.NewWitness(tb, "w1").VerifierKey(tb), audittest.NewWitness(tb, "w2").VerifierKey(tb), audittest.NewWitness(tb, "w3").VerifierKey(tb)
	return k
}

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	k := newKeys(t)
	text := "# who is believed\n\n  log " + k.log + "\nlog\t" + k.log2 + " https://firma.example.es/log/\n" +
		"witness A " + k.w1 + " https://a.example/add\nwitness B " + k.w2 + "\nwitness C " + k.w3 + "\ngroup G 1 B C\ngroup Q all A G\nquorum Q"
	p, err := audit.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{k.log, k.log2}, p.Logs()); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
	var witnesses []string
	for _, w := range p.Witnesses() {
		witnesses = append(witnesses, w.Name, w.VerifierKey, w.URL)
	}
	if diff := cmp.Diff([]string{"A", k.w1, "https://a.example/add", "B", k.w2, "", "C", k.w3, ""}, witnesses); diff != "" {
		t.Errorf("witnesses (-want +got):\n%s", diff)
	}
	if p.String() != text {
		t.Errorf("text: got %q, want %q", p.String(), text)
	}

	bare, err := audit.ParsePolicy([]byte("quorum none"))
	if err != nil || len(bare.Logs()) != 0 {
		t.Fatalf("a policy without logs: got %v %v, want none and no error", bare.Logs(), err)
	}
	with, err := bare.WithLog(k.log)
	if err != nil || !cmp.Equal(with.Logs(), []string{k.log}) {
		t.Errorf("WithLog: got %v %v, want the log", with.Logs(), err)
	}
	if again, err := with.WithLog(k.log); err != nil || again.String() != with.String() {
		t.Errorf("WithLog twice: got %q %v, want %q", again.String(), err, with.String())
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	t.Parallel()
	k := newKeys(t)
	renamed := strings.Replace(k.w1, "witness.example/w1", "witness.example/w9", 1)
	for name, text := range map[string]string{
		"nothing":                  "",
		"no quorum":                "log " + k.log,
		"two quorums":              "quorum none\nquorum none",
		"quorum of two":            "witness A " + k.w1 + "\nwitness B " + k.w2 + "\nquorum A B",
		"unknown quorum":           "quorum A",
		"unknown word":             "quorum none\nlogs " + k.log,
		"log without key":          "log\nquorum none",
		"log with a witness's key": "log " + k.w1 + "\nquorum none",
		"witness with a log's key": "witness A " + k.log + "\nquorum A",
		"witness's key altered":    "witness A " + renamed + "\nquorum A",
		"one log twice":            "log " + k.log + "\nlog " + k.log + "\nquorum none",
		"one witness twice":        "witness A " + k.w1 + "\nwitness A " + k.w2 + "\nquorum A",
		"one key twice":            "witness A " + k.w1 + "\nwitness B " + k.w1 + "\ngroup G all A B\nquorum G",
		"counted twice in a group": "witness A " + k.w1 + "\nwitness B " + k.w2 + "\ngroup G 2 A A\nquorum G",
		"counted in two groups":    "witness A " + k.w1 + "\nwitness B " + k.w2 + "\ngroup G any A B\ngroup H all A\ngroup I all G H\nquorum I",
		"a witness none":           "witness none " + k.w1 + "\nquorum none",
		"threshold too high":       "witness A " + k.w1 + "\ngroup G 2 A\nquorum G",
		"threshold zero":           "witness A " + k.w1 + "\ngroup G 0 A\nquorum G",
		"group before its member":  "group G 1 A\nwitness A " + k.w1 + "\nquorum G",
		"control character":        "quorum none\r\n",
		"blank of another kind":    "witness A\u00a0B " + k.w1 + "\nquorum none",
		"comment inside a line":    "quorum none # for now",
	} {
		if _, err := audit.ParsePolicy([]byte(text)); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	k := newKeys(f)
	f.Add("log " + k.log + "\nwitness A " + k.w1 + " https://a.example\nwitness B " + k.w2 + "\ngroup G any A B\nquorum G\n")
	f.Add("# none\nquorum none")
	f.Add("group g 1 g\nquorum g")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := audit.ParsePolicy([]byte(text))
		if err != nil {
			return
		}
		again, err := audit.ParsePolicy([]byte(p.String()))
		if err != nil || !cmp.Equal(p.Logs(), again.Logs()) || len(p.Witnesses()) != len(again.Witnesses()) {
			t.Errorf("%q: read again: got %v %v, want %v", text, again.Logs(), err, p.Logs())
		}
		if _, err := p.Open(nil); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("opening nothing: got %v, want ErrCheckpoint", err)
		}
	})
}

func TestPolicyOpen(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 5)
	key := l.Key(t).VerifierKey()
	a, b, c := audittest.NewWitness(t, "a"), audittest.NewWitness(t, "b"), audittest.NewWitness(t, "c")
	policy := func(rule string) audit.Policy {
		text := fmt.Sprintf("log %s\nwitness A %s\nwitness B %s\nwitness C %s\n%s", key, a.VerifierKey(t), b.VerifierKey(t), c.VerifierKey(t), rule)
		p, err := audit.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	two := policy("group G 2 A B C\nquorum G")
	signed := l.Signed(t, 5)
	at := func(minute int) time.Time { return l.Clock.Add(time.Duration(minute) * time.Minute) }
	cosigned := bytes.Join([][]byte{signed, a.Cosign(t, signed, at(7)), b.Cosign(t, signed, at(3)), c.Cosign(t, signed, at(5))}, nil)
	want := audit.Checkpoint{Origin: l.Origin, Tree: l.Tree(t, 5)}

	got, err := two.Open(cosigned)
	if err != nil {
		t.Fatal(err)
	}
	if got.Checkpoint != want || !bytes.Equal(got.Note, cosigned) || !bytes.Equal(got.LogSigned, signed) {
		t.Errorf("opened: got %+v, want %+v", got, want)
	}
	if diff := cmp.Diff([]string{"B", "C", "A"}, got.Witnesses); diff != "" {
		t.Errorf("witnesses (-want +got):\n%s", diff)
	}
	if !got.WitnessedAt.Equal(at(5)) {
		t.Errorf("witnessed: got %v, want %v, when the second one did", got.WitnessedAt, at(5))
	}

	one := append(bytes.Clone(signed), a.Cosign(t, signed, at(1))...)
	if got, err := two.Open(one); !errors.Is(err, audit.ErrUnwitnessed) || got.Checkpoint != want || !cmp.Equal(got.Witnesses, []string{"A"}) || !got.WitnessedAt.IsZero() {
		t.Errorf("one of two: got %+v %v, want it filled and ErrUnwitnessed", got, err)
	}
	timeless := bytes.Join([][]byte{one, b.Cosign(t, signed, time.Unix(0, 0))}, nil)
	if _, err := two.Open(timeless); !errors.Is(err, audit.ErrUnwitnessed) {
		t.Errorf("a cosignature without a time: got %v, want ErrUnwitnessed", err)
	}
	if _, err := policy("quorum none").Open(signed); err != nil {
		t.Errorf("no witnesses wanted: %v", err)
	}

	stranger := audittest.NewWitness(t, "stranger")
	if _, err := two.Open(append(bytes.Clone(cosigned), stranger.Cosign(t, signed, at(1))...)); err != nil {
		t.Errorf("a stranger's cosignature beside: %v", err)
	}
	twin := l.Twin()
	twin.Origin = "other.example/log"
	for name, note := range map[string][]byte{
		"nothing":             nil,
		"witnesses alone":     []byte(strings.Replace(string(cosigned), strings.SplitAfter(string(signed), "\n\n")[1], "", 1)),
		"a false cosignature": append(bytes.Clone(one), bytes.Replace(b.Cosign(t, signed, at(1)), []byte("AAAA"), []byte("AAAB"), 1)...),
		"another root":        bytes.Replace(cosigned, []byte("\n5\n"), []byte("\n6\n"), 1),
		"another log's":       twin.Signed(t, 0),
	} {
		if got, err := two.Open(note); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("%s: got %+v %v, want ErrCheckpoint", name, got, err)
		}
	}
}

// Any log of a policy is enough; two names may have one key.
func TestPolicyOfTwoLogs(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 2)
	first := l.Key(t).VerifierKey()
	before := l.Signed(t, 1)
	l.Origin += "/2"
	p, err := audit.ParsePolicy([]byte("log " + first + "\nlog " + l.Key(t).VerifierKey() + "\nquorum none"))
	if err != nil {
		t.Fatal(err)
	}
	for want, note := range map[string][]byte{audittest.Origin: before, audittest.Origin + "/2": l.Signed(t, 2)} {
		if got, err := p.Open(note); err != nil || got.Origin != want {
			t.Errorf("got %q %v, want %q", got.Origin, err, want)
		}
	}
}

func TestCosign(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 2)
	p := l.Policy(t)
	witnessed, signed := l.Witnessed(t, 2), l.Signed(t, 2)
	lines := bytes.SplitAfter(witnessed[len(signed):], []byte("\n"))
	note, err := p.Cosign(signed, lines[0])
	if err != nil {
		t.Fatal(err)
	}
	if note, err = p.Cosign(note, lines[1]); err != nil || !bytes.Equal(note, witnessed) {
		t.Fatalf("got %s %v, want %s", note, err, witnessed)
	}
	l.Clock = l.Clock.Add(time.Hour)
	later := l.Witnessed(t, 2)
	newer := bytes.SplitAfter(later[len(signed):], []byte("\n"))[0]
	if note, err = p.Cosign(note, newer); err != nil || bytes.Count(note, []byte("\n")) != bytes.Count(witnessed, []byte("\n")) || !bytes.Contains(note, newer) {
		t.Errorf("a later cosignature: got %s %v, want it in place of the earlier", note, err)
	}
	stranger := audittest.NewWitness(t, "w1").Cosign(t, signed, l.Clock)
	for name, bad := range map[string][]byte{
		"nothing":       nil,
		"a stranger's":  stranger,
		"of another":    bytes.SplitAfter(l.Fill(t, 1).Witnessed(t, 3)[len(l.Signed(t, 3)):], []byte("\n"))[0],
		"the log's own": signed[bytes.Index(signed, []byte("\n\n"))+2:],
		"another note":  l.Witnessed(t, 3),
	} {
		if got, err := p.Cosign(signed, bad); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		}
	}
}

// One changed octet of a note is either refused, or changes nothing that is
// signed: signatures of strangers, and the spelling of one, are all that is free.
func TestPolicyOpenFindsEveryOctet(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 5)
	p, note := l.Policy(t), l.Witnessed(t, 5)
	want, err := p.Open(note)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		changed := bytes.Clone(note)
		i := rapid.IntRange(0, len(note)-1).Draw(t, "place")
		changed[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		got, err := p.Open(changed)
		if err == nil && (got.Checkpoint != want.Checkpoint || !cmp.Equal(got.Cosigned, want.Cosigned)) {
			t.Errorf("octet %d changed: got %+v, want an error or the same", i, got)
		}
	})
}
