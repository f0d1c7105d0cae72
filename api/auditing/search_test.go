package auditing_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
)

func ownerOf(t *testing.T, urls pgtest.Database) (*pgx.Conn, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), urls.Owner)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
	}
	return conn, err
}

// matches is a search by reading everything.
func (f fact) matches(q auditing.Query) bool {
	return (q.Citizen == "" || f.person == q.Citizen || f.about == q.Citizen) &&
		(q.Certificate == "" || f.serial == q.Certificate) &&
		(q.Document == "" || f.document == q.Document) &&
		(q.Application == "" || f.application == q.Application) &&
		(q.Operation == "" || f.operation == q.Operation) &&
		(len(q.Types) == 0 || slices.Contains(q.Types, f.kind)) &&
		(q.Result == "" || audit.ResultOf(f.kind) == q.Result) &&
		(q.From.IsZero() || !f.at.Before(q.From)) &&
		(q.To.IsZero() || f.at.Before(q.To))
}

// numbers are those that match, newest first.
func (h *house) numbers(q auditing.Query, size int64) []int64 {
	numbers := []int64{}
	for seq := size - 1; seq >= 0; seq-- {
		if h.told[seq].matches(q) {
			numbers = append(numbers, seq)
		}
	}
	return numbers
}

// pages asks until nothing more is found.
func (h *house) pages(t *rapid.T, q auditing.Query) (numbers []int64, size int64) {
	numbers = []int64{}
	for {
		found, err := h.Search(t.Context(), auditor(), q)
		if err != nil {
			t.Fatalf("searching for %+v: %v", q, err)
		}
		if q.Before == 0 {
			size = found.Size
		}
		for _, e := range found.Entries {
			numbers = append(numbers, e.Seq)
			if !e.Intact || e.Erased || e.Type != h.told[e.Seq].kind || e.Person != h.told[e.Seq].person {
				t.Fatalf("got %+v, want %+v", e, h.told[e.Seq])
			}
		}
		if len(found.Entries) > q.Limit || found.Next < 0 || q.Before > 0 && found.Next >= q.Before {
			t.Fatalf("got %d entries and %d next, after %d", len(found.Entries), found.Next, q.Before)
		}
		if q.Before = found.Next; q.Before == 0 {
			return numbers, size
		}
	}
}

// questions may ask for any of it together, and for what there is not.
func questions(end time.Time) *rapid.Generator[auditing.Query] {
	some := func(t *rapid.T, label string, of []string) string {
		return rapid.SampledFrom(append([]string{"", "", ""}, of...)).Draw(t, label)
	}
	span := int(end.Sub(epoch)/time.Second) + 600
	return rapid.Custom(func(t *rapid.T) auditing.Query {
		q := auditing.Query{
			Citizen: some(t, "citizen", people), Certificate: some(t, "certificate", append(serials, "abc")),
			Document: some(t, "document", append(documents(), strings.Repeat("0", 64))), Application: some(t, "application", append(applications, "nobody")),
			Operation: some(t, "operation", []string{"OP1", "OP2", "OP99999", "AUDITOR1"}),
			Types: rapid.SliceOfN(rapid.SampledFrom([]audit.EventType{
				audit.SignRequested, audit.SignDone, audit.SignRefused, audit.CodeFailed, audit.AuditQueried, audit.ServiceStarted, audit.LogErased,
			}), 0, 3).Draw(t, "types"),
			Result: rapid.SampledFrom(append([]auditing.Result{"", "", "", ""}, auditing.Results()...)).Draw(t, "result"),
			Limit:  rapid.SampledFrom([]int{1, 7, 50, 500}).Draw(t, "limit"),
		}
		if rapid.Bool().Draw(t, "since") {
			q.From = epoch.Add(time.Duration(rapid.IntRange(-600, span-600).Draw(t, "from")) * time.Second)
		}
		if rapid.Bool().Draw(t, "until") {
			q.To = later(q.From, epoch).Add(time.Duration(rapid.IntRange(1, span).Draw(t, "to")) * time.Second)
		}
		return q
	})
}

// TestSearch holds random questions, page by page while the log grows, against a
// search that reads everything.
func TestSearch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(4000)...)
	rapid.Check(t, func(t *rapid.T) {
		q := questions(h.now).Draw(t, "question")
		if q.Limit == 1 { // a page an entry is for the rare
			if len(h.numbers(q, int64(len(h.told)))) > 100 {
				q.Limit = 50
			}
		}
		got, size := h.pages(t, q)
		if diff := cmp.Diff(h.numbers(q, size), got); diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", q, diff)
		}
	})
}

// TestSearchByEachAndEachPair asks by every field alone and with every other.
func TestSearchByEachAndEachPair(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(2000)...)
	fields := []func(*auditing.Query){
		func(q *auditing.Query) { q.Citizen = "12345678Z" },
		func(q *auditing.Query) { q.Certificate = "ff" },
		func(q *auditing.Query) { q.Document = documents()[0] },
		func(q *auditing.Query) { q.Application = "sede" },
		func(q *auditing.Query) { q.Operation = h.told[1234].operation },
		func(q *auditing.Query) { q.Types = []audit.EventType{audit.SignDone, audit.AuditQueried} },
		func(q *auditing.Query) { q.Result = audit.ResultSucceeded },
		func(q *auditing.Query) { q.From = h.told[700].at },
		func(q *auditing.Query) { q.To = h.told[1000].at },
	}
	for i := range fields {
		for j := range i + 1 {
			q := auditing.Query{Limit: 500}
			fields[i](&q)
			fields[j](&q)
			found, err := h.Search(t.Context(), auditor(), q)
			must(t, err)
			want := h.numbers(q, found.Size)
			want = want[:min(len(want), q.Limit)]
			got := []int64{}
			for _, e := range found.Entries {
				got = append(got, e.Seq)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields %d and %d (-want +got):\n%s", i, j, diff)
			}
		}
	}
}

// TestSearchReadsWhatPeopleType gives fields as they come from paper and from
// other programs.
func TestSearchReadsWhatPeopleType(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	hash := strings.Repeat("0a1b2c3d", 8)
	h.append(t, fact{
		kind: audit.SignDone, operation: "OP1", person: "12345678Z", application: "sede", serial: "1a2b3c", document: hash, at: epoch,
	})
	for name, q := range map[string]auditing.Query{
		"DNI with a hyphen":    {Citizen: " 12345678-z "},
		"serial with colons":   {Certificate: "00:1A:2B:3C"},
		"serial with blanks":   {Certificate: " 1a 2b 3c\n"},
		"hash in upper case":   {Document: strings.ToUpper(hash)},
		"hash over two lines":  {Document: hash[:32] + "\r\n  " + hash[32:]},
		"blanks are no filter": {Citizen: " ", Certificate: " ", Document: " ", Application: " ", Operation: " "},
		"blanks around ids":    {Application: " sede ", Operation: " OP1 "},
	} {
		found, err := h.Search(t.Context(), auditor(), q)
		if err != nil || len(found.Entries) == 0 || found.Entries[len(found.Entries)-1].Seq != 0 {
			t.Errorf("%s: got %+v and %v, want entry 0", name, found.Entries, err)
		}
	}
}

// TestSearchRefuses asks what cannot be understood: nothing is guessed, nothing
// recorded, and nothing of it reaches the database as SQL.
func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(10)...)
	before := len(h.told)
	for name, test := range map[string]struct {
		q    auditing.Query
		code policies.Code
	}{
		"DNI of a wrong letter":    {auditing.Query{Citizen: "12345678A"}, policies.IdentifierInvalid},
		"SQL for a DNI":            {auditing.Query{Citizen: "' OR 1=1 --"}, policies.IdentifierInvalid},
		"SQL for an application":   {auditing.Query{Application: "'; DROP TABLE log_entries; --"}, policies.QueryInvalid},
		"SQL for an operation":     {auditing.Query{Operation: "x' OR 'a'='a"}, policies.QueryInvalid},
		"HTML for an operation":    {auditing.Query{Operation: "<script>alert(1)</script>"}, policies.QueryInvalid},
		"HTML for a serial":        {auditing.Query{Certificate: "<b>1</b>"}, policies.QueryInvalid},
		"a serial of 41 digits":    {auditing.Query{Certificate: strings.Repeat("1", 41)}, policies.QueryInvalid},
		"half a hash":              {auditing.Query{Document: strings.Repeat("a", 32)}, policies.QueryInvalid},
		"NUL in an application":    {auditing.Query{Application: "a\x00b"}, policies.QueryInvalid},
		"what is not UTF-8":        {auditing.Query{Application: "\xff\xfe"}, policies.QueryInvalid},
		"an unknown type":          {auditing.Query{Types: []audit.EventType{"sign.forged"}}, policies.QueryInvalid},
		"an unknown result":        {auditing.Query{Result: "splendid"}, policies.QueryInvalid},
		"a page of nothing":        {auditing.Query{Limit: -1}, policies.QueryInvalid},
		"a page of everything":     {auditing.Query{Limit: 501}, policies.QueryInvalid},
		"before the beginning":     {auditing.Query{Before: -1}, policies.QueryInvalid},
		"a range that is reversed": {auditing.Query{From: epoch, To: epoch.Add(-time.Second)}, policies.RangeImpossible},
		"a range of nothing":       {auditing.Query{From: epoch, To: epoch}, policies.RangeImpossible},
		"a range to come":          {auditing.Query{From: h.now.Add(time.Hour)}, policies.RangeImpossible},
		"the year 12026":           {auditing.Query{To: epoch.AddDate(10000, 0, 0)}, policies.RangeImpossible},
	} {
		if _, err := h.Search(t.Context(), auditor(), test.q); !errors.Is(err, policies.Refuse(test.code)) {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
	}
	if got := len(h.told); got != before {
		t.Errorf("got %d questions recorded, want none", got-before)
	}
	// What is a possible id, however odd, is looked for as it is.
	for _, odd := range []string{"%", "_", "a'b", `"><img>`, "${jndi:x}", "\\"} {
		found, err := h.Search(t.Context(), auditor(), auditing.Query{Application: odd, Types: []audit.EventType{audit.SignDone}})
		if err != nil || len(found.Entries) != 0 {
			t.Errorf("application %q: got %d entries and %v, want none", odd, len(found.Entries), err)
		}
	}
}

// TestWhoAsked finds what others asked about somebody.
func TestWhoAsked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, fact{kind: audit.SignRefused, operation: "OP1", person: "12345678Z", application: "sede", at: epoch})
	curious := auditor()
	curious.Identity.ID, curious.Identity.Name, curious.Purpose = "AUDITOR2", "Luis", "Curiosidad <b>propia</b>"
	_, err := h.Search(t.Context(), curious, auditing.Query{Citizen: "12345678Z", Result: audit.ResultRefused, From: epoch})
	must(t, err)
	found, err := h.Search(t.Context(), auditor(), auditing.Query{Citizen: "12345678z", Types: []audit.EventType{audit.AuditQueried}})
	must(t, err)
	if len(found.Entries) != 1 {
		t.Fatalf("got %d entries, want the question", len(found.Entries))
	}
	want := map[string]any{
		"asked": "search", "auditor": "AUDITOR2", "name": "Luis", "role": "auditor", "by": "certificate", "purpose": "Curiosidad <b>propia</b>",
		"question": map[string]any{"about": "12345678Z", "result": "refused", "from": "2026-03-01T09:00:00Z"},
	}
	e := found.Entries[0]
	if diff := cmp.Diff(want, e.Facts); diff != "" {
		t.Errorf("the question (-want +got):\n%s", diff)
	}
	if e.Operation != "AUDITOR2" || e.Person != "" || !e.Intact {
		t.Errorf("got %+v, want it of AUDITOR2, about nobody, intact", e)
	}
}
