package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

func prove(tb testing.TB, l *audittest.Log, seq int64, checkpoint []byte) audit.Proof {
	tb.Helper()
	p, err := audit.NewProof(tb.Context(), l.Records[seq], checkpoint, l)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func text(tb testing.TB, p audit.Proof) []byte {
	tb.Helper()
	b, err := p.Text()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// A proof is one of C2SP: torchwood verifies it as well.
func TestProof(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 21)
	policy, checkpoint := l.Policy(t), l.Witnessed(t, 20)
	foreign, err := torchwood.ParsePolicy([]byte(policy.String()))
	if err != nil {
		t.Fatal(err)
	}
	for seq := range int64(20) {
		written := text(t, prove(t, l, seq, checkpoint))
		if err := torchwood.VerifyProof(foreign, tlog.RecordHash(l.Records[seq].Leaf), written); err != nil {
			t.Errorf("torchwood on entry %d: %v", seq, err)
		}
		p, err := audit.ParseProof(written)
		if err != nil {
			t.Fatal(err)
		}
		signed, fact, err := p.Check(policy)
		if err != nil {
			t.Fatal(err)
		}
		r := l.Records[seq]
		want := audit.Fact{Seq: seq, Type: r.Type, Operation: r.Operation, At: r.At, Opened: true, Person: r.Person, Payload: r.Payload}
		if diff := cmp.Diff(want, fact); diff != "" {
			t.Errorf("fact (-want +got):\n%s", diff)
		}
		if signed.Tree != l.Tree(t, 20) {
			t.Errorf("tree: got %+v, want %+v", signed.Tree, l.Tree(t, 20))
		}
	}
	if p, err := audit.NewProof(t.Context(), l.Records[20], checkpoint, l); err == nil {
		t.Errorf("an entry after the checkpoint: got %+v, want an error", p)
	}
	erased := prove(t, l, 4, l.Signed(t, 20))
	erased.Payload, erased.Salt = nil, nil
	_, fact, err := erased.Check(policy)
	if !errors.Is(err, audit.ErrUnwitnessed) || fact.Opened || fact.Type != l.Records[4].Type || fact.Person != "" {
		t.Errorf("erased, and not witnessed: got %+v %v, want its leaf and ErrUnwitnessed", fact, err)
	}
}

func TestProofFindsChanges(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 9)
	policy, checkpoint := l.Policy(t), l.Witnessed(t, 9)
	twin := l.Twin().Fill(t, 9)
	for name, tc := range map[string]struct {
		change func(*audit.Proof)
		want   error
	}{
		"payload":          {func(p *audit.Proof) { p.Payload[3] ^= 1 }, audit.ErrNotCommitted},
		"salt":             {func(p *audit.Proof) { p.Salt[3] ^= 1 }, audit.ErrNotCommitted},
		"payload alone":    {func(p *audit.Proof) { p.Salt = nil }, audit.ErrNotCommitted},
		"salt alone":       {func(p *audit.Proof) { p.Payload = nil }, audit.ErrNotCommitted},
		"leaf":             {func(p *audit.Proof) { p.Leaf[3] ^= 1 }, audit.ErrProof},
		"another leaf":     {func(p *audit.Proof) { p.Leaf = l.Records[5].Leaf }, audit.ErrProof},
		"number":           {func(p *audit.Proof) { p.Seq++ }, audit.ErrProof},
		"number too large": {func(p *audit.Proof) { p.Seq = 9 }, audit.ErrProof},
		"path":             {func(p *audit.Proof) { p.Path[1][0] ^= 1 }, audit.ErrProof},
		"path, shorter":    {func(p *audit.Proof) { p.Path = p.Path[1:] }, audit.ErrProof},
		"path, longer":     {func(p *audit.Proof) { p.Path = append(p.Path, tlog.Hash{}) }, audit.ErrProof},
		"another tree":     {func(p *audit.Proof) { p.Checkpoint = twin.Witnessed(t, 9) }, audit.ErrProof},
		"a smaller tree":   {func(p *audit.Proof) { p.Checkpoint = l.Witnessed(t, 8) }, audit.ErrProof},
		"checkpoint":       {func(p *audit.Proof) { p.Checkpoint[25] ^= 1 }, audit.ErrCheckpoint},
	} {
		p := prove(t, l, 4, bytes.Clone(checkpoint))
		p.Leaf, p.Payload, p.Salt = bytes.Clone(p.Leaf), bytes.Clone(p.Payload), bytes.Clone(p.Salt)
		tc.change(&p)
		if _, fact, err := p.Check(policy); !errors.Is(err, tc.want) {
			t.Errorf("%s changed: got %+v %v, want %v", name, fact, err, tc.want)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	l := audittest.New(f).Fill(f, 5)
	p := prove(f, l, 3, l.Witnessed(f, 5))
	f.Add(text(f, p))
	p.Payload, p.Salt = nil, nil
	f.Add(text(f, p))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\na\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— a AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := audit.ParseProof(b)
		if err != nil {
			return
		}
		if again := text(t, p); !bytes.Equal(again, b) {
			t.Errorf("got %q, want %q again", again, b)
		}
	})
}

// signature appends what a signature leaves in the log, other entries between.
func signature(tb testing.TB, l *audittest.Log, operation, authorisation string) (intent, outcome int64) {
	tb.Helper()
	same := map[string]any{"authorisation": authorisation}
	intent = l.Size()
	l.Append(tb, l.Entry(audit.SignIntent, operation, same))
	l.Fill(tb, 2)
	outcome = l.Size()
	l.Append(tb, l.Entry(audit.SignDone, operation, same))
	return intent, outcome
}

func receipt(tb testing.TB, l *audittest.Log, token []byte) audit.Receipt {
	tb.Helper()
	intent, outcome := signature(tb, l, "R-signed", "A1")
	l.Fill(tb, 3)
	checkpoint := l.Witnessed(tb, l.Size())
	r, err := audit.NewReceipt(prove(tb, l, intent, checkpoint), prove(tb, l, outcome, checkpoint), token, l.Policy(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func encoded(tb testing.TB, r audit.Receipt) []byte {
	tb.Helper()
	b, err := r.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 4)
	made := receipt(t, l, []byte("token"))
	read, err := audit.ParseReceipt(encoded(t, made))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, read); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	signed, facts, err := read.Check(l.Policy(t))
	if err != nil {
		t.Fatal(err)
	}
	if signed.Tree != l.Tree(t, l.Size()) || len(signed.Witnesses) != 2 {
		t.Errorf("checkpoint: got %+v, want the newest with both witnesses", signed)
	}
	var got []string
	for _, f := range facts {
		got = append(got, fmt.Sprint(f.Seq, " ", f.Type, " ", f.Operation, " ", f.Person, " ", f.Opened))
	}
	want := []string{"4 sign.intent R-signed 12345678Z true", "7 sign.done R-signed 12345678Z true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	stranger := audittest.New(t)
	if _, _, err := read.Check(stranger.Policy(t)); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("under another policy: got %v, want ErrCheckpoint", err)
	}
}

func TestReceiptRefuses(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 4)
	made := receipt(t, l, nil)
	intent2, outcome2 := signature(t, l, "R-signed", "A2")
	intent3, outcome3 := signature(t, l, "R-other", "A1")
	checkpoint := l.Witnessed(t, l.Size())
	at := func(seq int64) audit.Proof { return prove(t, l, seq, checkpoint) }
	for name, entries := range map[string][]audit.Proof{
		"another consent":   {at(4), at(outcome2)},
		"another operation": {at(4), at(outcome3)},
		"no outcome":        {at(4), at(intent2)},
		"outcome first":     {at(7), at(4)},
		"outcome before":    {at(intent3), at(outcome2)},
		"two checkpoints":   {made.Entries[0], at(7)},
		"an entry of none":  {at(0), at(7)},
	} {
		if r, err := audit.NewReceipt(entries[0], entries[1], nil, l.Policy(t)); !errors.Is(err, audit.ErrReceipt) {
			t.Errorf("%s: got %+v %v, want ErrReceipt", name, r, err)
		}
		forged := audit.Receipt{Operation: "R-signed", Entries: entries}
		if _, facts, err := forged.Check(l.Policy(t)); !errors.Is(err, audit.ErrReceipt) && !errors.Is(err, audit.ErrProof) {
			t.Errorf("%s: Check: got %+v %v, want ErrReceipt or ErrProof", name, facts, err)
		}
	}
	good := string(encoded(t, made))
	for name, bad := range map[string]string{
		"not JSON":        good[:len(good)/2],
		"more after it":   good + "{}",
		"another version": strings.Replace(good, `"receipt": 1`, `"receipt": 2`, 1),
		"unknown member":  strings.Replace(good, `"receipt": 1`, `"receipt": 1, "more": 1`, 1),
		"member twice":    strings.Replace(good, `"receipt": 1`, `"receipt": 1, "receipt": 1`, 1),
		"type":            strings.Replace(good, `"type": "sign.done"`, `"type": "sign.failed"`, 1),
		"one entry":       good[:strings.LastIndex(good, "    {\n")-2] + "]}",
		"a proof of none": strings.Replace(good, "tlog-proof@v1", "tlog-proof@v2", 1),
	} {
		if r, err := audit.ParseReceipt([]byte(bad)); !errors.Is(err, audit.ErrReceipt) {
			t.Errorf("%s: got %+v %v, want ErrReceipt", name, r, err)
		}
	}
	other := strings.Replace(good, `"operation": "R-signed"`, `"operation": "R-other"`, 1)
	r, err := audit.ParseReceipt([]byte(other))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Check(l.Policy(t)); !errors.Is(err, audit.ErrReceipt) {
		t.Errorf("another operation claimed: got %v, want ErrReceipt", err)
	}
}

func FuzzParseReceipt(f *testing.F) {
	l := audittest.New(f).Fill(f, 1)
	good := encoded(f, receipt(f, l, []byte("token")))
	f.Add(good)
	f.Add([]byte(strings.Join(strings.Fields(string(good)), " ")))
	f.Add([]byte(`{"receipt":1,"operation":"R","entries":[]}`))
	policy := l.Policy(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := audit.ParseReceipt(b)
		if err != nil {
			return
		}
		again, err := audit.ParseReceipt(encoded(t, r))
		if err != nil || !cmp.Equal(r, again) {
			t.Errorf("read again: got %+v %v, want %+v", again, err, r)
		}
		_, facts, err := r.Check(policy)
		if (err == nil || errors.Is(err, audit.ErrUnwitnessed)) != (len(facts) == 2) {
			t.Errorf("checked: got %+v %v, want both facts or an error", facts, err)
		}
	})
}

// A complete range is what it claims, or is found out.
func TestSpan(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 40)
	rapid.Check(t, func(rt *rapid.T) {
		from := rapid.Int64Range(0, 40).Draw(rt, "from")
		to := rapid.Int64Range(from, 40).Draw(rt, "to")
		size := rapid.Int64Range(to, 40).Draw(rt, "size")
		edge, err := audit.Edge(t.Context(), from, l)
		if err != nil {
			rt.Fatal(err)
		}
		consistency, err := audit.EndSpan(t.Context(), size, to, l)
		if err != nil {
			rt.Fatal(err)
		}
		var leaves [][]byte
		for _, r := range l.Records[from:to] {
			leaves = append(leaves, bytes.Clone(r.Leaf))
		}
		check := func(from int64, edge []tlog.Hash, leaves [][]byte) error {
			s, err := audit.NewSpan(from, edge)
			if err != nil {
				return err
			}
			for _, leaf := range leaves {
				s.Add(leaf)
			}
			return s.Check(l.Tree(t, size), consistency)
		}
		if err := check(from, edge, leaves); err != nil {
			rt.Fatalf("[%d, %d) under %d: %v", from, to, size, err)
		}
		if from == to {
			return
		}
		i := rapid.IntRange(0, len(leaves)-1).Draw(rt, "place")
		for name, forged := range map[string][][]byte{
			"left out":  slices.Delete(slices.Clone(leaves), i, i+1),
			"put in":    slices.Insert(slices.Clone(leaves), i, leaves[0]),
			"changed":   slices.Replace(slices.Clone(leaves), i, i+1, []byte("another")),
			"cut off":   leaves[:i],
			"too many":  append(slices.Clone(leaves), leaves[i]),
			"exchanged": exchange(leaves, i),
		} {
			if forged == nil || to == 0 {
				continue
			}
			if err := check(from, edge, forged); !errors.Is(err, audit.ErrProof) && len(forged)+int(from) > 0 {
				rt.Errorf("[%d, %d) under %d, %s at %d: got %v, want ErrProof", from, to, size, name, i, err)
			}
		}
		if err := check(from+1, edge, leaves); !errors.Is(err, audit.ErrProof) {
			rt.Errorf("[%d, %d) said to begin one later: got %v, want ErrProof", from, to, err)
		}
		if from > 0 {
			edge[0][3] ^= 1
			if err := check(from, edge, leaves); !errors.Is(err, audit.ErrProof) {
				rt.Errorf("[%d, %d) after another past: got %v, want ErrProof", from, to, err)
			}
		}
	})
}

// exchange is leaves with the i-th and the one after it exchanged, nil if there
// is none.
func exchange(leaves [][]byte, i int) [][]byte {
	if i+1 >= len(leaves) {
		return nil
	}
	forged := slices.Clone(leaves)
	forged[i], forged[i+1] = forged[i+1], forged[i]
	return forged
}
