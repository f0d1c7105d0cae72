package audit

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// However entries are cut into transactions, the tree is that of RFC 6962.
func TestAppendBuildsTheTreeOfRFC6962(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		for _, batch := range rapid.SliceOfN(rapid.IntRange(1, 9), 1, 12).Draw(t, "batches") {
			entries := make([]Entry, batch)
			for i := range entries {
				entries[i] = entry(m.now, i)
			}
			before := m.head.Size
			first, err := Append(context.Background(), m, entries...)
			if err != nil {
				t.Fatal(err)
			}
			if first != before {
				t.Fatalf("Append: got number %d, want %d", first, before)
			}
			tree, err := TreeHash(context.Background(), m.head.Size, m)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := tree.Root, naiveRoot(m.leaves()); got != want {
				t.Fatalf("root of %d entries: got %v, want %v", m.head.Size, got, want)
			}
			if got, err := m.head.Tree(); err != nil || got != tree {
				t.Fatalf("tree of the head: got %v, %v, want %v", got, err, tree)
			}
		}
		if got, want := int64(len(m.hashes)), tlog.StoredHashCount(m.head.Size); got != want {
			t.Errorf("stored hashes: got %d, want %d", got, want)
		}
		report, err := Verify(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := report.Root, naiveRoot(m.leaves()); got != want || report.Size != m.head.Size || report.Erased != 0 {
			t.Errorf("Verify: got %+v, want root %v", report, want)
		}
	})
}

func TestAppendRecord(t *testing.T) {
	t.Parallel()
	m := newMemory()
	at := time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.FixedZone("CET", 3600))
	m.append(t, Entry{
		Type: CodeFailed, Operation: "R-1", At: at, Person: "12345678Z",
		Payload: map[string]any{"phone": "··· ··· 421", "attempt": 1, "purpose": "signature", "challenge": "<a & b>"},
	})
	got := m.records[0]
	if want := `{"attempt":1,"challenge":"<a & b>","person":"12345678Z","phone":"··· ··· 421","purpose":"signature"}`; string(got.Payload) != want {
		t.Errorf("payload: got %s, want %s", got.Payload, want)
	}
	leaf, err := ParseLeaf(got.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	want := Leaf{Type: CodeFailed, Operation: "R-1", At: time.Date(2026, 3, 1, 9, 0, 0, 123456000, time.UTC), Commitment: commit(got.Salt, got.Payload)}
	if diff := cmp.Diff(want, leaf); diff != "" {
		t.Errorf("leaf (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(string(got.Leaf), `{"at":"2026-03-01T09:00:00.123456Z","c":"`) || bytes.Contains(got.Leaf, []byte("12345678Z")) {
		t.Errorf("leaf: got %s, want its public part and nothing of the person", got.Leaf)
	}
	if !got.At.Equal(want.At) || got.Person != "12345678Z" || got.Seq != 0 {
		t.Errorf("record: got %+v", got)
	}
}

func TestSaltsDiffer(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.append(t, entry(start, 1), entry(start, 1))
	a, b := m.records[0], m.records[1]
	if len(a.Salt) != 32 || bytes.Equal(a.Salt, b.Salt) || bytes.Equal(a.Leaf, b.Leaf) {
		t.Errorf("two entries of the same content: salts %x and %x, want two of 32 bytes", a.Salt, b.Salt)
	}
}

func TestAppendRefusesPayloads(t *testing.T) {
	t.Parallel()
	good := entry(start, 0)
	for name, change := range map[string]func(*Entry){
		"unknown type":     func(e *Entry) { e.Type = "sign.maybe" },
		"no operation":     func(e *Entry) { e.Operation = "" },
		"spaced operation": func(e *Entry) { e.Operation = "a b" },
		"long operation":   func(e *Entry) { e.Operation = strings.Repeat("a", 129) },
		"no time":          func(e *Entry) { e.At = time.Time{} },
		"person twice":     func(e *Entry) { e.Payload = map[string]any{"person": "x"} },
		"password":         func(e *Entry) { e.Payload = map[string]any{"password": "x"} },
		"a compound":       func(e *Entry) { e.Payload = map[string]any{"sms_code": "x"} },
		"a plural":         func(e *Entry) { e.Payload = map[string]any{"tokens": []string{"x"}} },
		"pin":              func(e *Entry) { e.Payload = map[string]any{"pin": 1} },
		"secret":           func(e *Entry) { e.Payload = map[string]any{"client_secret": "x"} },
		"ticket, nested":   func(e *Entry) { e.Payload = map[string]any{"a": []any{map[string]string{"ticket": "x"}}} },
		"in a struct":      func(e *Entry) { e.Payload = map[string]any{"a": struct{ Code string }{"x"}} },
		"in a tagged struct": func(e *Entry) {
			e.Payload = map[string]any{"a": struct {
				X string `json:"code"`
			}{"x"}}
		},
		"capitals":       func(e *Entry) { e.Payload = map[string]any{"Document": "x"} },
		"a fraction":     func(e *Entry) { e.Payload = map[string]any{"a": 0.5} },
		"a large number": func(e *Entry) { e.Payload = map[string]any{"a": int64(1)<<53 + 1} },
		"a channel":      func(e *Entry) { e.Payload = map[string]any{"a": make(chan int)} },
	} {
		e := good
		change(&e)
		m := newMemory()
		if _, err := Append(t.Context(), m, good, e); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: got %v, want ErrPayload", name, err)
		}
		if len(m.records) != 0 || m.head.Size != 0 {
			t.Errorf("%s: got %d records, want none of the transaction", name, len(m.records))
		}
	}
	if _, err := Append(t.Context(), newMemory()); !errors.Is(err, ErrPayload) {
		t.Errorf("no entry: got %v, want ErrPayload", err)
	}
}

// An entry without facts has a payload all the same.
func TestAppendEmptyPayload(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.append(t, Entry{Type: ClockTrusted, Operation: "clock", At: start})
	if got, want := string(m.records[0].Payload), "{}"; got != want {
		t.Errorf("payload of an entry without one: got %s, want %s", got, want)
	}
}

func TestAppendAndTheClock(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		clock, at time.Duration // from the last entry's time
		want      error
		last      time.Duration
	}{
		"on":                        {time.Second, time.Second, nil, time.Second},
		"at the same time":          {0, 0, nil, 0},
		"a little behind":           {-2 * time.Second, -2 * time.Second, nil, 0},
		"behind":                    {-2*time.Second - time.Millisecond, -3 * time.Second, ErrClockBehind, 0},
		"an hour back":              {-time.Hour, -time.Hour, ErrClockBehind, 0},
		"a long operation":          {time.Minute, -time.Second, nil, 0},
		"an older event, clock on":  {time.Minute, -time.Minute, nil, 0},
		"as late as can be":         {time.Hour, time.Hour - Delay, nil, time.Hour - Delay},
		"too late":                  {time.Hour, time.Hour - Delay - time.Microsecond, ErrLate, 0},
		"clock back in between":     {0, 3 * time.Second, ErrClockBehind, 0},
		"clocks of two hosts apart": {0, 2 * time.Second, nil, 2 * time.Second},
	} {
		m := newMemory()
		m.append(t, entry(start, 0))
		m.now = start.Add(tc.clock)
		_, err := Append(t.Context(), m, entry(start.Add(tc.at), 1))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
		if got, want := m.head.Last, start.Add(tc.last); !got.Equal(want) {
			t.Errorf("%s: got last time %v, want %v", name, got, want)
		}
		if _, err := Verify(t.Context(), m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errBroken = errors.New("broken")

type broken struct {
	*memory
	lock, write error
}

func (b *broken) LockHead(ctx context.Context) (Head, error) {
	if b.lock != nil {
		return Head{}, b.lock
	}
	return b.memory.LockHead(ctx)
}

func (b *broken) Write(ctx context.Context, next Head, records []Record) error {
	if b.write != nil {
		return b.write
	}
	return b.memory.Write(ctx, next, records)
}

func TestAppendFailsWithItsStore(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*broken{
		"lock":  {lock: errBroken},
		"write": {write: errBroken},
	} {
		b.memory = newMemory().fill(t, 1) // the next entry needs one stored hash
		if _, err := Append(t.Context(), b, entry(b.now, 1)); !errors.Is(err, errBroken) {
			t.Errorf("%s: got %v, want %v", name, err, errBroken)
		}
		if len(b.records) != 1 {
			t.Errorf("%s: got %d records, want 1", name, len(b.records))
		}
	}
}

// A head that does not name the subtrees of its size is not built upon.
func TestAppendRefusesDamagedHead(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*Head){
		"no subtrees":  func(h *Head) { h.Edge = nil },
		"one too many": func(h *Head) { h.Edge = append(h.Edge, h.Edge[0]) },
		"other size":   func(h *Head) { h.Size++ },
		"negative":     func(h *Head) { h.Size = -1 },
	} {
		m := newMemory().fill(t, 6)
		damage(&m.head)
		if _, err := Append(t.Context(), m, entry(m.now, 6)); !errors.Is(err, errHead) {
			t.Errorf("%s: got %v, want %v", name, err, errHead)
		}
		if _, err := m.head.Tree(); !errors.Is(err, errHead) {
			t.Errorf("%s: tree of the head: got %v, want %v", name, err, errHead)
		}
		if len(m.records) != 6 {
			t.Errorf("%s: got %d records, want 6", name, len(m.records))
		}
	}
}

func FuzzParseLeaf(f *testing.F) {
	m := newMemory()
	if _, err := Append(context.Background(), m, entry(start, 0), entry(start, 1)); err != nil {
		f.Fatal(err)
	}
	leaf := m.records[0].Leaf
	f.Add(leaf)
	f.Add(bytes.Replace(leaf, []byte(`"v":1`), []byte(`"v":2`), 1))
	f.Add(append(slices.Clone(leaf), '\n'))
	f.Add(bytes.Replace(leaf, []byte(`"op"`), []byte(`"OP"`), 1))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		leaf, err := ParseLeaf(b)
		if err != nil {
			return
		}
		again, err := leaf.Bytes()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("ParseLeaf(%q) encodes as %q, %v", b, again, err)
		}
	})
}

func TestParseLeafRefuses(t *testing.T) {
	t.Parallel()
	m := newMemory().fill(t, 1)
	leaf := string(m.records[0].Leaf)
	for name, b := range map[string]string{
		"nothing":        "",
		"newline":        leaf + "\n",
		"blank":          strings.Replace(leaf, ",", ", ", 1),
		"other version":  strings.Replace(leaf, `"v":1`, `"v":2`, 1),
		"other case":     strings.Replace(leaf, `"op"`, `"OP"`, 1),
		"more members":   strings.Replace(leaf, `"v":1`, `"v":1,"x":1`, 1),
		"unknown type":   strings.Replace(leaf, "sign.intent", "sign.maybe", 1),
		"nanoseconds":    strings.Replace(leaf, ".000000Z", ".000000000Z", 1),
		"other zone":     strings.Replace(leaf, "Z\"", "+00:00\"", 1),
		"twice":          strings.Replace(leaf, `"v":1`, `"v":1,"v":1`, 1),
		"impossible day": strings.Replace(leaf, "2026-03-01", "2026-02-30", 1),
	} {
		if b == leaf {
			t.Fatalf("%s: the leaf is unchanged", name)
		}
		if got, err := ParseLeaf([]byte(b)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	m := newMemory()
	for b.Loop() {
		if _, err := Append(b.Context(), m, entry(start, 1)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	const size = 10_000
	m := newMemory().fill(b, size)
	for b.Loop() {
		if _, err := Verify(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/entry")
}

// BenchmarkUnderTheLock is the part of an append that others wait for, the
// database's own time apart.
func BenchmarkUnderTheLock(b *testing.B) {
	m := newMemory().fill(b, 1023) // the next entry completes the most subtrees
	record, err := newRecord(entry(m.now, 0))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		records := []Record{record}
		if _, err := m.head.follow(m.now, records); err != nil {
			b.Fatal(err)
		}
	}
}
