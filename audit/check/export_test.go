package check_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// extract is an export that a test may change before it is written.
type extract struct {
	header  audit.ExportHeader
	entries []audit.ExportEntry
	trailer audit.ExportTrailer
}

// taken is entries [from, to) of a log of size entries, complete or each with
// its proof.
func taken(tb testing.TB, l *audittest.Log, complete bool, from, to, size int64) extract {
	tb.Helper()
	x := extract{header: audit.ExportHeader{
		Version: 1, Origin: l.Origin, Checkpoint: string(l.Witnessed(tb, size)), Policy: l.Policy(tb).String(),
		From: from, To: to, Complete: complete,
	}}
	for _, r := range l.Records[from:to] {
		e := audit.ExportEntry{Seq: r.Seq, Leaf: r.Leaf, Payload: r.Payload, Salt: r.Salt}
		if !complete {
			path, err := audit.ProveInclusion(tb.Context(), size, r.Seq, l)
			must(tb, err)
			e.Proof = audit.EncodeHashes(path)
		}
		x.entries = append(x.entries, e)
	}
	if complete {
		edge, err := audit.Edge(tb.Context(), from, l)
		must(tb, err)
		consistency, err := audit.EndSpan(tb.Context(), size, to, l)
		must(tb, err)
		x.header.Edge, x.trailer.Consistency = audit.EncodeHashes(edge), audit.EncodeHashes(consistency)
	}
	x.trailer.End, x.trailer.Entries = true, int64(len(x.entries))
	return x
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (x extract) clone() extract {
	x.entries = slices.Clone(x.entries)
	x.header.Edge = slices.Clone(x.header.Edge)
	return x
}

// lines is the export as JSON Lines.
func (x extract) lines(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	write := func(v any) {
		must(tb, json.MarshalWrite(&out, v))
		out.WriteByte('\n')
	}
	write(x.header)
	for _, e := range x.entries {
		write(e)
	}
	write(x.trailer)
	return out.Bytes()
}

func (x extract) verify(tb testing.TB, c check.Checker) *check.Report {
	tb.Helper()
	r, err := c.Export(tb.Context(), "x.jsonl", bytes.NewReader(x.lines(tb)))
	must(tb, err)
	return r
}

func TestExportHolds(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 60)
	c := check.Checker{Policy: l.Policy(t)}
	for _, complete := range []bool{false, true} {
		for _, at := range [][3]int64{{0, 60, 60}, {0, 0, 60}, {7, 7, 60}, {17, 18, 40}, {20, 60, 60}, {32, 48, 50}} {
			x := taken(t, l, complete, at[0], at[1], at[2])
			r := x.verify(t, c)
			want := check.Entries{Checked: at[1] - at[0], Opened: at[1] - at[0]}
			if r.Verdict != check.Holds || r.Entries != want || r.Range.Complete != complete {
				t.Errorf("%v, complete: %v: got %+v", at, complete, r)
			}
		}
	}
	sealed := taken(t, l, true, 10, 20, 60)
	sealed.entries[3].Payload, sealed.entries[3].Salt = nil, nil
	if r := sealed.verify(t, c); r.Verdict != check.Holds || r.Entries.Sealed != 1 {
		t.Errorf("one shown without its payload: got %+v", r)
	}
	early := taken(t, l, true, 10, 20, 60)
	next := int64(20)
	early.header.To, early.trailer.Next = 50, &next
	if r := early.verify(t, c); r.Verdict != check.Holds || !r.Range.Complete || *r.Range.Next != 20 {
		t.Errorf("one that goes on elsewhere: got %+v", r)
	}
	if r := taken(t, l, true, 10, 20, 60).verify(t, check.Checker{}); r.Verdict != check.Undecided {
		t.Errorf("judged by its own policy: got %+v, want it undecided", r)
	}
}

func TestExportFindsTampering(t *testing.T) {
	t.Parallel()
	const from, to, size, i = 10, 30, 60, 7
	l := audittest.New(t).Fill(t, size)
	other := l.Twin().Fill(t, size)
	c := check.Checker{Policy: l.Policy(t)}
	erase := func(e *audit.ExportEntry) { e.Payload, e.Salt = nil, nil }
	for name, tc := range map[string]struct {
		change func(x *extract)
		// where it shows: where each has its proof, and where the range is complete
		proved, whole [2]int64
	}{
		"payload": {func(x *extract) { x.entries[i].Payload = []byte("{}") }, [2]int64{17, 18}, [2]int64{17, 18}},
		"salt":    {func(x *extract) { x.entries[i].Salt = other.Records[17].Salt }, [2]int64{17, 18}, [2]int64{17, 18}},
		"leaf":    {func(x *extract) { x.entries[i].Leaf = other.Records[17].Leaf }, [2]int64{17, 18}, [2]int64{17, 18}},
		"leaf, shown without payload": {func(x *extract) {
			x.entries[i].Leaf = other.Records[17].Leaf
			erase(&x.entries[i])
		}, [2]int64{17, 18}, [2]int64{from, to}},
		"another's whole entry": {func(x *extract) {
			r := other.Records[17]
			x.entries[i].Leaf, x.entries[i].Payload, x.entries[i].Salt = r.Leaf, r.Payload, r.Salt
		}, [2]int64{17, 18}, [2]int64{from, to}},
		"exchanged":   {func(x *extract) { x.entries[i], x.entries[i+1] = x.entries[i+1], x.entries[i] }, [2]int64{19, to}, [2]int64{17, to}},
		"number":      {func(x *extract) { x.entries[i].Seq = 40 }, [2]int64{17, to}, [2]int64{17, to}},
		"twice":       {func(x *extract) { x.entries[i+1] = x.entries[i] }, [2]int64{18, to}, [2]int64{18, to}},
		"origin":      {func(x *extract) { x.header.Origin = "other.example/log" }, [2]int64{-1, -1}, [2]int64{-1, -1}},
		"range":       {func(x *extract) { x.header.To = 70 }, [2]int64{60, 70}, [2]int64{60, 70}},
		"checkpoint":  {func(x *extract) { x.header.Checkpoint = string(other.Witnessed(t, size)) }, [2]int64{10, 11}, [2]int64{from, to}},
		"no policy's": {func(x *extract) { x.header.Checkpoint = "none" }, [2]int64{-1, -1}, [2]int64{-1, -1}},
	} {
		for complete, want := range map[bool][2]int64{false: tc.proved, true: tc.whole} {
			x := taken(t, l, complete, from, to, size).clone()
			tc.change(&x)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				wantFault(t, x.verify(t, c), want[0], want[1])
			})
		}
	}
	for name, tc := range map[string]struct {
		change       func(x *extract)
		index, until int64
	}{
		"left out":      {func(x *extract) { x.entries = slices.Delete(x.entries, i, i+1) }, 17, to},
		"cut off":       {func(x *extract) { x.entries = x.entries[:i] }, 17, to},
		"edge":          {func(x *extract) { x.header.Edge[0] = make([]byte, 32) }, from, to},
		"edge, shorter": {func(x *extract) { x.header.Edge = x.header.Edge[1:] }, from, to},
		"consistency":   {func(x *extract) { x.trailer.Consistency = nil }, from, to},
	} {
		x := taken(t, l, true, from, to, size).clone()
		tc.change(&x)
		x.trailer.Entries = int64(len(x.entries))
		t.Run("complete/"+name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, x.verify(t, c), tc.index, tc.until)
		})
	}
	path := taken(t, l, false, from, to, size)
	path.entries[i].Proof = path.entries[i].Proof[1:]
	wantFault(t, path.verify(t, c), 17, 18)

	whole := taken(t, l, false, from, to, size).lines(t)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	r, err := c.Export(t.Context(), "x.jsonl", bytes.NewReader(bytes.Join(lines[:8], nil)))
	must(t, err)
	wantFault(t, r, 17, to)
	if r, err := c.Export(t.Context(), "x.jsonl", strings.NewReader("{}")); err == nil {
		t.Errorf("no export at all: got %+v, want an error", r)
	}
}

func TestExportCSV(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 40)
	x := taken(t, l, false, 10, 30, 40)
	table := func(change func(rows [][]string)) []byte {
		rows := [][]string{audit.Columns()}
		for _, e := range x.entries {
			row, err := e.Row()
			must(t, err)
			rows = append(rows, row)
		}
		change(rows)
		var out bytes.Buffer
		must(t, csv.NewWriter(&out).WriteAll(rows))
		return out.Bytes()
	}
	companion := x.clone()
	companion.entries = nil
	verify := func(ctx context.Context, rows []byte) *check.Report {
		r, err := check.Checker{Policy: l.Policy(t)}.ExportCSV(ctx, "x.csv", bytes.NewReader(rows), bytes.NewReader(companion.lines(t)))
		must(t, err)
		return r
	}
	if r := verify(t.Context(), table(func([][]string) {})); r.Verdict != check.Holds || r.Entries.Opened != 20 {
		t.Errorf("got %+v, want it to hold", r)
	}
	wantFault(t, verify(t.Context(), table(func(rows [][]string) { rows[8][4] = "87654321X" })), 17, 30)
	wantFault(t, verify(t.Context(), table(func(rows [][]string) { rows[8][7] = rows[9][7] })), 17, 18)
}

func TestReceiptAndProof(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 4)
	same := map[string]any{"authorisation": "A1"}
	l.Append(t, l.Entry(audit.SignIntent, "R", same), l.Entry(audit.SignDone, "R", same))
	l.Fill(t, 3)
	authority := audittest.NewAuthority(t, func() time.Time { return l.Clock })
	checkpoint := l.Witnessed(t, 9)
	prove := func(seq int64) audit.Proof {
		p, err := audit.NewProof(t.Context(), l.Records[seq], checkpoint, l)
		must(t, err)
		return p
	}
	receipt, err := audit.NewReceipt(prove(4), prove(5), authority.Token(t, l.Signed(t, 9)), l.Policy(t))
	must(t, err)
	c := check.Checker{Policy: l.Policy(t)}
	verify := func(c check.Checker, receipt audit.Receipt) *check.Report {
		b, err := receipt.Bytes()
		must(t, err)
		r, err := c.Receipt("r.json", b)
		must(t, err)
		return r
	}
	r := verify(c, receipt)
	var facts []audit.EventType
	for _, f := range r.Facts {
		facts = append(facts, f.Type)
	}
	if diff := cmp.Diff([]audit.EventType{audit.SignIntent, audit.SignDone}, facts); diff != "" || r.Verdict != check.Holds || r.Stamp == nil {
		t.Errorf("got %+v (-want +got):\n%s", r, diff)
	}
	if r := verify(check.Checker{}, receipt); r.Verdict != check.Undecided {
		t.Errorf("judged by its own policy: got %+v, want it undecided", r)
	}
	c.Known = l.Witnessed(t, 9)
	if r := verify(c, receipt); r.Verdict != check.Holds || !r.Known.Consistent {
		t.Errorf("with the same checkpoint known: got %+v, want it to hold", r)
	}
	c.Known = l.Twin().Fill(t, 9).Witnessed(t, 9)
	wantFault(t, verify(c, receipt), 0, 9)
	c.Known = nil

	altered := receipt
	altered.Entries = slices.Clone(receipt.Entries)
	altered.Entries[1].Payload = []byte(`{"authorisation":"A1"}`)
	wantFault(t, verify(c, altered), 5, 6)
	altered.Timestamp = authority.Token(t, checkpoint)
	altered.Entries = receipt.Entries
	wantFault(t, verify(c, altered), -1, -1)

	text, err := prove(4).Text()
	must(t, err)
	one, err := c.Proof("p.tlog-proof", text)
	must(t, err)
	if one.Verdict != check.Holds || len(one.Facts) != 1 || one.Facts[0].Seq != 4 {
		t.Errorf("proof: got %+v, want it to hold for entry 4", one)
	}
	moved := prove(4)
	moved.Seq = 5
	text, err = moved.Text()
	must(t, err)
	one, err = c.Proof("p.tlog-proof", text)
	must(t, err)
	wantFault(t, one, 5, 6)
}

// What comes from outside plays no tricks on a terminal.
func TestWriteText(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 3)
	x := taken(t, l, true, 0, 3, 3)
	r, err := check.Checker{Policy: l.Policy(t)}.Export(t.Context(), "x\x1b[2J\u202e", bytes.NewReader(x.lines(t)))
	must(t, err)
	var out strings.Builder
	must(t, r.WriteText(&out))
	for _, want := range []string{"La exportación del registro es auténtica y está íntegra.", "x·[2J·", "witness  w1, 2026-03-01T09:00:03Z", "from 0 to 3, complete", "3 opened"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", out.String(), want)
		}
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Errorf("control characters in\n%q", out.String())
	}
}
