package pdf_test

import (
	"bytes"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// TestHistories builds files of several revisions in every style, each by an
// independent writer, and checks that each revision reads as it was written,
// and that updates of ours read as they were meant.
func TestHistories(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := newBuilder(rapid.SampledFrom([]string{"1.0", "1.5", "1.7", "2.0"}).Draw(rt, "version"))
		if rapid.Bool().Draw(rt, "noisy") {
			b.render = func(o pdf.Object) []byte { return render(rt, o) }
		}
		model := map[int]pdf.Object{}
		var states []map[int]pdf.Object
		var changes []map[int]bool
		for range rapid.IntRange(1, 4).Draw(rt, "revisions") {
			changed := drawRevision(rt, len(states) == 0)
			b.revision(t, drawStyle(rt), changed)
			states, changes = append(states, maps.Clone(apply(model, changed))), append(changes, kept(changed))
		}
		content := b.buf.Bytes()
		f, err := pdf.Open(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			rt.Fatalf("Open: %v\n%q", err, content)
		}
		checkState(rt, f, model)
		if odd := f.Irregularities(); len(odd) > 0 {
			rt.Errorf("got irregularities %v, want none", odd)
		}
		if orphans, err := f.Orphans(); err != nil || len(orphans) > 0 {
			rt.Errorf("got orphans %v %v, want none", orphans, err)
		}
		checkRevisions(rt, f, states, changes)
		checkUpdates(rt, f, content, model)
	})
}

func drawStyle(t *rapid.T) style {
	return style{
		xref:      rapid.SampledFrom([]string{"table", "stream", "hybrid"}).Draw(t, "xref"),
		eol:       rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "eol"),
		entryEnd:  rapid.SampledFrom([]string{" \n", "\r\n", " \r", "\n", " \r\n"}).Draw(t, "entry"),
		packed:    rapid.Bool().Draw(t, "packed"),
		deflated:  rapid.Bool().Draw(t, "deflated"),
		predictor: rapid.Bool().Draw(t, "predictor"),
	}
}

// drawRevision gives changes to objects 10 to 29; what the structure itself
// needs gets other numbers. The catalogue never goes.
func drawRevision(t *rapid.T, first bool) map[int]pdf.Object {
	changed := map[int]pdf.Object{}
	for range rapid.IntRange(1, 8).Draw(t, "objects") {
		number := rapid.IntRange(10, 29).Draw(t, "number")
		switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
		case kind == 0 && !first:
			changed[number] = nil
		case kind == 1:
			changed[number] = flow{pdf.Dict{"Kind": pdf.Name("Test")}, rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
		default:
			changed[number] = drawObject(t, 3)
		}
	}
	if first {
		changed[1] = pdf.Dict{"Type": pdf.Name("Catalog"), "Extra": drawObject(t, 2)}
		changed[40] = int64(40) // the structure's own numbers begin behind
	}
	return changed
}

func apply(model, changed map[int]pdf.Object) map[int]pdf.Object {
	for number, o := range changed {
		if model[number] = o; o == nil {
			delete(model, number)
		}
	}
	return model
}

func kept(changed map[int]pdf.Object) map[int]bool {
	out := map[int]bool{}
	for number, o := range changed {
		out[number] = o != nil
	}
	return out
}

// checkState compares a file with what it should hold.
func checkState(t *rapid.T, f *pdf.File, model map[int]pdf.Object) {
	t.Helper()
	for number := 1; number <= 40; number++ {
		got, err := f.Resolve(pdf.Ref{Number: number})
		if err == nil && isRef(got) {
			t.Fatalf("object %d resolves to a reference", number)
		}
		want := model[number]
		if ref, ok := want.(pdf.Ref); ok {
			// Chains of references may go in circles.
			want = follow(model, ref)
			if want == nil && err != nil {
				continue
			}
		}
		if err != nil {
			t.Fatalf("object %d: %v", number, err)
		}
		if s, ok := want.(flow); ok {
			checkStream(t, f, got, s)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("object %d: %s", number, diff)
		}
	}
}

func isRef(o pdf.Object) bool {
	_, ok := o.(pdf.Ref)
	return ok
}

func follow(model map[int]pdf.Object, ref pdf.Ref) pdf.Object {
	for range 100 {
		o := model[ref.Number]
		next, ok := o.(pdf.Ref)
		if !ok {
			return o
		}
		ref = next
	}
	return nil
}

func checkStream(t *rapid.T, f *pdf.File, got pdf.Object, want flow) {
	t.Helper()
	s, ok := got.(*pdf.Stream)
	if !ok || s.Dict["Kind"] != pdf.Name("Test") {
		t.Fatalf("got %v, want a stream", got)
	}
	data, err := f.Data(s, int64(len(want.data)))
	if err != nil || !bytes.Equal(data, want.data) {
		t.Fatalf("got %q %v, want %q", data, err, want.data)
	}
}

func checkRevisions(t *rapid.T, f *pdf.File, states []map[int]pdf.Object, changes []map[int]bool) {
	t.Helper()
	revisions := f.Revisions()
	if len(revisions) != len(states) {
		t.Fatalf("got %d revisions, want %d", len(revisions), len(states))
	}
	for i, revision := range revisions {
		then, err := f.At(revision)
		if err != nil {
			t.Fatalf("At: %v", err)
		}
		checkState(t, then, states[i])
		changed, err := f.Changed(revision)
		if err != nil {
			t.Fatalf("Changed: %v", err)
		}
		got := map[int]bool{}
		for ref, used := range changed {
			if ref.Number > 0 && ref.Number <= 40 {
				got[ref.Number] = used
			}
		}
		if diff := cmp.Diff(changes[i], got); diff != "" {
			t.Fatalf("revision %d: %s", i, diff)
		}
	}
}

// checkUpdates appends two updates.
func checkUpdates(t *rapid.T, f *pdf.File, content []byte, model map[int]pdf.Object) {
	t.Helper()
	_, catalog := f.Catalog()
	model = maps.Clone(model)
	model[1] = catalog
	for range 2 {
		u, number := f.NewUpdate(), rapid.IntRange(10, 29).Draw(t, "number")
		model[number] = drawObject(t, 3)
		u.Set(pdf.Ref{Number: number}, model[number])
		s := flow{pdf.Dict{"Kind": pdf.Name("Test")}, rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
		added := u.AddStream(s.dict, s.data)
		for ref := range f.Objects() {
			if ref == added {
				t.Fatalf("number %d is taken", ref.Number)
			}
		}
		if got, err := u.Get(pdf.Ref{Number: number}); err != nil || cmp.Diff(model[number], got) != "" {
			t.Fatalf("Get: got %v %v, want %v", got, err, model[number])
		}
		update, err := u.Bytes()
		if err != nil {
			t.Fatalf("Bytes: %v", err)
		}
		if again, err := u.Bytes(); err != nil || !bytes.Equal(update, again) {
			t.Fatalf("Bytes again: got %q %v, want %q", again, err, update)
		}
		revisions := len(f.Revisions())
		if f, err = f.Append(update); err != nil {
			t.Fatalf("Append: %v\n%q", err, update)
		}
		prefix := make([]byte, len(content))
		if _, err := f.Reader().ReadAt(prefix, 0); err != nil || !bytes.Equal(prefix, content) {
			t.Fatalf("the original octets changed: %v", err)
		}
		checkState(t, f, model)
		got, err := f.Resolve(added)
		if err != nil {
			t.Fatalf("the new stream: %v", err)
		}
		checkStream(t, f, got, s)
		if got := len(f.Revisions()); got != revisions+1 {
			t.Fatalf("got %d revisions, want %d", got, revisions+1)
		}
		if odd := f.Irregularities(); len(odd) > 0 {
			t.Fatalf("got irregularities %v, want none", odd)
		}
	}
}
