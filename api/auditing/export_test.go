package auditing_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// export asks for one and has it all.
func (h *house) export(t *testing.T, q auditing.Query, o auditing.ExportOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := h.Export(t.Context(), auditor(), q, o, &out); err != nil {
		t.Fatalf("exporting %+v: %v", q, err)
	}
	return out.Bytes()
}

// verify has somebody else judge an export: who has it, and the policy, and
// nothing else.
func (h *house) verify(t *testing.T, export []byte) *check.Report {
	t.Helper()
	r, err := check.Checker{Policy: h.verifiers(t)}.Export(t.Context(), "x.jsonl", bytes.NewReader(export))
	must(t, err)
	return r
}

func exported(t *testing.T, export []byte) (audit.ExportHeader, []audit.ExportEntry) {
	t.Helper()
	r, err := audit.NewExportReader(bytes.NewReader(export))
	must(t, err)
	var entries []audit.ExportEntry
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Header, entries
		}
		must(t, err)
		entries = append(entries, e)
	}
}

// lines are those of the entries.
func lines(export []byte) []string {
	all := strings.Split(strings.TrimSpace(string(export)), "\n")
	return all[1 : len(all)-1]
}

func ascending(numbers []int64) []int64 {
	slices.Reverse(numbers)
	return numbers
}

func numbersOf(entries []audit.ExportEntry) []int64 {
	numbers := []int64{}
	for _, e := range entries {
		numbers = append(numbers, e.Seq)
	}
	return numbers
}

var exportedQueries = map[string]auditing.Query{
	"everything":   {},
	"a citizen":    {Citizen: "12345678Z"},
	"a result":     {Result: audit.ResultRefused},
	"a document":   {Document: documents()[1], Application: "sede"},
	"a time":       {From: epoch.Add(1000e9), To: epoch.Add(1500e9)},
	"at the start": {To: epoch.Add(100e9), Types: []audit.EventType{audit.SignDone}},
	"nothing":      {Application: "nobody"},
	"impossible":   {Types: []audit.EventType{audit.SignDone}, Result: audit.ResultRefused},
}

func TestExport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(2500)...)
	size := h.publish(t)
	h.append(t, fact{kind: audit.SignRefused, operation: "LATE", person: "12345678Z", application: "sede", at: h.now})
	for name, q := range exportedQueries {
		for _, complete := range []bool{false, true} {
			out := h.export(t, q, auditing.ExportOptions{Format: auditing.JSONLines, Complete: complete})
			if r := h.verify(t, out); r.Verdict != check.Holds || r.Range.Complete != complete || r.Checkpoint.Size != size {
				t.Errorf("%s, complete %v: the verifier says %+v", name, complete, r)
			}
			_, entries := exported(t, out)
			opened := slices.DeleteFunc(slices.Clone(entries), func(e audit.ExportEntry) bool { return e.Payload == nil })
			if diff := cmp.Diff(ascending(h.numbers(q, size)), numbersOf(opened)); diff != "" {
				t.Errorf("%s, complete %v: entries with payload (-want +got):\n%s", name, complete, diff)
			}
			if !complete && len(entries) != len(opened) {
				t.Errorf("%s: got %d entries, want none without payload", name, len(entries))
			}
		}
	}
	last := h.told[len(h.told)-1]
	if last.kind != audit.AuditExported || last.operation != "AUDITOR1" {
		t.Errorf("got %+v as the last entry, want the export", last)
	}
}

// TestExportCompleteHoldsAllOfItsTime looks for entries of the range's time that
// stand outside of it.
func TestExportCompleteHoldsAllOfItsTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(2500)...)
	h.publish(t)
	q := auditing.Query{From: epoch.Add(1200e9), To: epoch.Add(1300e9)}
	header, entries := exported(t, h.export(t, q, auditing.ExportOptions{Format: auditing.JSONLines, Complete: true}))
	for seq, f := range h.told {
		if inside := int64(seq) >= header.From && int64(seq) < header.To; f.matches(q) && !inside {
			t.Errorf("entry %d of that time is not in [%d, %d)", seq, header.From, header.To)
		}
	}
	if got := int64(len(entries)); got != header.To-header.From || header.From == 0 || header.To >= int64(len(h.told)) {
		t.Errorf("got %d entries of [%d, %d), want all of a part", got, header.From, header.To)
	}
}

// TestExportGoesOn breaks an export off at some entry, as a connection does, and
// compares both parts with one whole.
func TestExportGoesOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(2200)...)
	size := h.publish(t)
	for _, complete := range []bool{false, true} {
		for name, q := range exportedQueries {
			o := auditing.ExportOptions{Format: auditing.JSONLines, Complete: complete, Checkpoint: size}
			out := h.export(t, q, o)
			_, whole := exported(t, out)
			if len(whole) < 2 {
				continue
			}
			for _, received := range []int{1, len(whole) / 2, len(whole) - 1} {
				// The log has a newer checkpoint by now.
				h.append(t, fact{kind: audit.ServiceStarted, operation: "signer", at: h.now})
				h.publish(t)
				o.Next = whole[received-1].Seq + 1
				rest := h.export(t, q, o)
				if r := h.verify(t, rest); r.Verdict != check.Holds {
					t.Errorf("%s, complete %v: the verifier says of the rest %+v", name, complete, r)
				}
				if !slices.Equal(lines(out)[received:], lines(rest)) {
					t.Errorf("%s, complete %v, after %d: got another rest than one whole export has", name, complete, received)
				}
			}
		}
	}
}

func TestExportAsCSV(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(1200)...)
	size := h.publish(t)
	for name, q := range exportedQueries {
		for _, complete := range []bool{false, true} {
			o := auditing.ExportOptions{Format: auditing.CSV, Complete: complete, Checkpoint: size}
			rows := h.export(t, q, o)
			o.Format = auditing.Companion
			companion := h.export(t, q, o)
			r, err := check.Checker{Policy: h.verifiers(t)}.ExportCSV(t.Context(), "x.csv", bytes.NewReader(rows), bytes.NewReader(companion))
			if err != nil || r.Verdict != check.Holds || r.Range.Complete != complete {
				t.Errorf("%s, complete %v: the verifier says %+v and %v", name, complete, r, err)
			}
			o.Format = auditing.JSONLines
			if _, entries := exported(t, h.export(t, q, o)); r != nil && r.Entries.Checked != int64(len(entries)) {
				t.Errorf("%s, complete %v: got %d rows, want %d", name, complete, r.Entries.Checked, len(entries))
			}
		}
	}
}

// ledger is a store that compares what has been read with what has been
// written.
type ledger struct {
	auditing.Store

	read, written, ahead int
}

func (l *ledger) Search(ctx context.Context, f audit.Filter, s audit.Stretch) (audit.Matches, error) {
	m, err := l.Store.Search(ctx, f, s)
	l.read += len(m.Records)
	l.ahead = max(l.ahead, l.read-l.written)
	return m, err
}

func (l *ledger) Write(p []byte) (int, error) {
	l.written += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// TestExportHoldsNoMoreThanAPortion exports much, and never has more than a
// portion of it in hand.
func TestExportHoldsNoMoreThanAPortion(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(6000)...)
	h.publish(t)
	for _, complete := range []bool{false, true} {
		l := &ledger{Store: store.ForAuditor(open(t, h.urls.Auditor))}
		service := auditing.New(auditing.Config{Store: l, Recorder: h, Policy: h.policy, Now: h.clock})
		o := auditing.ExportOptions{Format: auditing.JSONLines, Complete: complete}
		must(t, service.Export(t.Context(), auditor(), auditing.Query{Application: "sede"}, o, l))
		limit := 500
		if complete { // once for the leaves, once for those that match
			limit = 2 * 500
			l.written *= 2
		}
		if l.ahead > limit+1 && !complete || l.written < 1000 {
			t.Errorf("complete %v: got %d lines, and %d entries in hand, want at most %d", complete, l.written, l.ahead, limit)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(20)...)
	plain := auditing.ExportOptions{Format: auditing.JSONLines}
	refuse := func(name string, q auditing.Query, o auditing.ExportOptions, code policies.Code) {
		t.Helper()
		before := len(h.told)
		o.Begun = func(auditing.Export) { t.Errorf("%s: begun", name) }
		var out bytes.Buffer
		err := h.Export(t.Context(), auditor(), q, o, &out)
		if !errors.Is(err, policies.Refuse(code)) || out.Len() > 0 || len(h.told) > before {
			t.Errorf("%s: got %v, %d octets and %d entries, want %s and no more", name, err, out.Len(), len(h.told)-before, code)
		}
	}
	refuse("before the first checkpoint", auditing.Query{}, plain, policies.CheckpointMissing)
	h.unsigned = true
	h.publish(t)
	refuse("under one that nobody saw", auditing.Query{}, plain, policies.CheckpointMissing)
	refuse("under one that nobody saw, by size", auditing.Query{}, auditing.ExportOptions{Format: auditing.JSONLines, Checkpoint: 20}, policies.CheckpointMissing)
	h.tamper(t, `UPDATE log_checkpoints SET witnessed_at = signed_at`)
	refuse("under one that somebody says was seen", auditing.Query{}, plain, policies.CheckpointMissing)
	h.unsigned = false
	h.append(t, fact{kind: audit.ServiceStarted, operation: "signer", at: h.now})
	size := h.publish(t)
	for name, test := range map[string]struct {
		q    auditing.Query
		o    auditing.ExportOptions
		code policies.Code
	}{
		"no format":           {auditing.Query{}, auditing.ExportOptions{}, policies.QueryInvalid},
		"a spreadsheet":       {auditing.Query{}, auditing.ExportOptions{Format: "xlsx"}, policies.QueryInvalid},
		"a page":              {auditing.Query{Limit: 5}, plain, policies.QueryInvalid},
		"no such checkpoint":  {auditing.Query{}, auditing.ExportOptions{Format: auditing.CSV, Checkpoint: 7}, policies.CheckpointMissing},
		"a checkpoint below":  {auditing.Query{}, auditing.ExportOptions{Format: auditing.CSV, Checkpoint: -7}, policies.QueryInvalid},
		"on under another":    {auditing.Query{}, auditing.ExportOptions{Format: auditing.CSV, Next: 3}, policies.QueryInvalid},
		"on before the start": {auditing.Query{}, auditing.ExportOptions{Format: auditing.CSV, Checkpoint: size, Next: -1}, policies.QueryInvalid},
		"on after the end":    {auditing.Query{}, auditing.ExportOptions{Format: auditing.CSV, Checkpoint: size, Next: size + 1}, policies.RangeImpossible},
		"a reversed range":    {auditing.Query{From: epoch, To: epoch.Add(-1)}, plain, policies.RangeImpossible},
		"a wrong DNI":         {auditing.Query{Citizen: "1"}, plain, policies.IdentifierInvalid},
	} {
		refuse(name, test.q, test.o, test.code)
	}
}

// TestExportOfAnAlteredLog exports what somebody changed in the database: each
// change is in the export, where its verifier finds it, or the export ends.
func TestExportOfAnAlteredLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(800)...)
	h.publish(t)
	h.tamper(t, `UPDATE log_entries SET payload = convert_to(replace(convert_from(payload, 'UTF8'), 'a', 'b'), 'UTF8') WHERE seq = 600`)
	for _, complete := range []bool{false, true} {
		o := auditing.ExportOptions{Format: auditing.JSONLines, Complete: complete}
		if r := h.verify(t, h.export(t, auditing.Query{}, o)); r.Verdict != check.Broken || r.Fault.Index != 600 {
			t.Errorf("complete %v: a changed payload: the verifier says %+v, want entry 600", complete, r.Fault)
		}
	}
	h.tamper(t, `UPDATE log_entries SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), '"v":1', '"v":1 '), 'UTF8') WHERE seq = 500`)
	if r := h.verify(t, h.export(t, auditing.Query{}, auditing.ExportOptions{Format: auditing.JSONLines})); r.Verdict != check.Broken || r.Fault.Index != 500 {
		t.Errorf("a changed leaf: the verifier says %+v, want entry 500", r.Fault)
	}
	h.tamper(t, `DELETE FROM log_entries WHERE seq = 400`)
	var out strings.Builder
	err := h.Export(t.Context(), auditor(), auditing.Query{}, auditing.ExportOptions{Format: auditing.JSONLines, Complete: true}, &out)
	if !errors.Is(err, auditing.ErrGap) || strings.Contains(out.String(), `"end":true`) {
		t.Errorf("a removed entry: got %v, want no whole export", err)
	}
}
