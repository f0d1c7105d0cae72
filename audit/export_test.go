package audit_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json/v2"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

func line(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return append(b, '\n')
}

// export is one of three entries, as JSON Lines and as CSV.
func export(tb testing.TB) (entries []audit.ExportEntry, lines, rows, companion []byte) {
	tb.Helper()
	l := audittest.New(tb).Fill(tb, 4)
	for _, r := range l.Records[1:4] {
		e := audit.ExportEntry{Seq: r.Seq, Leaf: r.Leaf, Payload: r.Payload, Salt: r.Salt}
		path, err := audit.ProveInclusion(tb.Context(), 4, r.Seq, l)
		if err != nil {
			tb.Fatal(err)
		}
		e.Proof = audit.EncodeHashes(path)
		entries = append(entries, e)
	}
	entries[1].Payload, entries[1].Salt = nil, nil
	header := line(tb, audit.ExportHeader{
		Version: 1, Query: map[string]any{"operation": "R-1"}, Origin: l.Origin,
		Checkpoint: string(l.Witnessed(tb, 4)), Policy: l.Policy(tb).String(), From: 1, To: 4,
	})
	trailer := line(tb, audit.ExportTrailer{End: true, Entries: 3})
	var table bytes.Buffer
	w := csv.NewWriter(&table)
	must(tb, w.Write(audit.Columns()))
	lines = bytes.Clone(header)
	for _, e := range entries {
		lines = append(lines, line(tb, e)...)
		row, err := e.Row()
		must(tb, err)
		must(tb, w.Write(row))
	}
	w.Flush()
	return entries, append(lines, trailer...), table.Bytes(), append(bytes.Clone(header), trailer...)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// all reads to the end.
func all(r *audit.ExportReader) (entries []audit.ExportEntry, err error) {
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
	}
}

func TestExportReader(t *testing.T) {
	t.Parallel()
	want, lines, rows, companion := export(t)
	for name, open := range map[string]func() (*audit.ExportReader, error){
		"JSON Lines": func() (*audit.ExportReader, error) { return audit.NewExportReader(bytes.NewReader(lines)) },
		"CSV": func() (*audit.ExportReader, error) {
			return audit.NewCSVReader(bytes.NewReader(rows), bytes.NewReader(companion))
		},
	} {
		r, err := open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := all(r)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if !r.Trailer.End || r.Trailer.Entries != 3 || r.Header.To != 4 {
			t.Errorf("%s: got %+v and %+v", name, r.Header, r.Trailer)
		}
	}
}

func TestExportReaderRefuses(t *testing.T) {
	t.Parallel()
	_, lines, rows, companion := export(t)
	split := bytes.SplitAfter(lines, []byte("\n"))
	join := func(lines ...[]byte) []byte { return bytes.Join(lines, nil) }
	for name, bad := range map[string][]byte{
		"nothing":               nil,
		"no end":                join(split[:4]...),
		"cut inside a line":     lines[:len(lines)-40],
		"a line left out":       join(split[0], split[2], split[3], split[4]),
		"a line twice":          join(split[0], split[1], split[1], split[2], split[3], split[4]),
		"more after the end":    join(lines, split[1]),
		"no header":             join(split[1:]...),
		"another version":       bytes.Replace(lines, []byte(`"export":1`), []byte(`"export":2`), 1),
		"an impossible range":   bytes.Replace(lines, []byte(`"from":1`), []byte(`"from":9`), 1),
		"an unknown member":     bytes.Replace(lines, []byte(`{"seq":2`), []byte(`{"more":2,"seq":2`), 1),
		"an entry in the end":   bytes.Replace(lines, []byte(`{"end":true`), []byte(`{"leaf":"AAAA","end":true`), 1),
		"goes on before itself": bytes.Replace(lines, []byte(`"next":null`), []byte(`"next":0`), 1),
	} {
		r, err := audit.NewExportReader(bytes.NewReader(bad))
		if err == nil {
			_, err = all(r)
		}
		if !errors.Is(err, audit.ErrExport) {
			t.Errorf("%s: got %v, want ErrExport", name, err)
		}
	}
	table := strings.SplitAfter(string(rows), "\n")
	for name, bad := range map[string][2]string{
		"a row left out":     {table[0] + table[1] + table[3], string(companion)},
		"another column":     {strings.Replace(string(rows), "person", "persona", 1), string(companion)},
		"person changed":     {strings.Replace(string(rows), ",12345678Z,", ",87654321X,", 1), string(companion)},
		"type changed":       {strings.Replace(string(rows), ",code.sent,", ",sign.done,", 1), string(companion)},
		"companion too long": {string(rows), string(lines)},
		"companion too soon": {string(rows), string(split[0])},
		"a quote left open":  {string(rows) + "\"", string(companion)},
	} {
		r, err := audit.NewCSVReader(strings.NewReader(bad[0]), strings.NewReader(bad[1]))
		if err == nil {
			_, err = all(r)
		}
		if !errors.Is(err, audit.ErrExport) {
			t.Errorf("CSV, %s: got %v, want ErrExport", name, err)
		}
	}
}

func FuzzExportReader(f *testing.F) {
	_, lines, rows, companion := export(f)
	f.Add(lines, []byte(nil))
	f.Add(companion, rows)
	f.Fuzz(func(t *testing.T, lines, rows []byte) {
		var r *audit.ExportReader
		var err error
		if len(rows) == 0 {
			r, err = audit.NewExportReader(bytes.NewReader(lines))
		} else {
			r, err = audit.NewCSVReader(bytes.NewReader(rows), bytes.NewReader(lines))
		}
		if err != nil {
			if !errors.Is(err, audit.ErrExport) {
				t.Errorf("got %v, want ErrExport", err)
			}
			return
		}
		entries, err := all(r)
		if err == nil && int64(len(entries)) != r.Trailer.Entries {
			t.Errorf("got %d entries, want the %d of the end", len(entries), r.Trailer.Entries)
		}
	})
}
