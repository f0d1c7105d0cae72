package auditing_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// questionsOf are all that answer with entries or counts.
func questionsOf(s *auditing.Service) map[string]func(context.Context, auditing.Asking) error {
	return map[string]func(context.Context, auditing.Asking) error{
		"search": func(ctx context.Context, a auditing.Asking) error {
			_, err := s.Search(ctx, a, auditing.Query{})
			return err
		},
		"entry":     func(ctx context.Context, a auditing.Asking) error { _, err := s.Entry(ctx, a, 1); return err },
		"operation": func(ctx context.Context, a auditing.Asking) error { _, err := s.Operation(ctx, a, "OP1"); return err },
		"totals": func(ctx context.Context, a auditing.Asking) error {
			_, err := s.Totals(ctx, a, epoch, epoch.AddDate(0, 0, 1))
			return err
		},
		"completeness": func(ctx context.Context, a auditing.Asking) error { _, err := s.Completeness(ctx, a, 1, 2); return err },
		"export": func(ctx context.Context, a auditing.Asking) error {
			var out bytes.Buffer
			err := s.Export(ctx, a, auditing.Query{}, auditing.ExportOptions{Format: auditing.JSONLines}, &out)
			if err != nil && out.Len() > 0 {
				return errors.New("something was written")
			}
			return err
		},
	}
}

// TestOnlyAuditorsWithAPurposeAsk asks as others, and for no reason.
func TestOnlyAuditorsWithAPurposeAsk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(50)...)
	h.publish(t)
	before := len(h.told)
	for name, test := range map[string]struct {
		role, purpose string
		code          policies.Code
	}{
		"an administrator":      {auditing.RoleAdministrator, "Curiosidad", policies.RoleMissing},
		"nobody":                {"", "Curiosidad", policies.RoleMissing},
		"no reason":             {auditing.RoleAuditor, "", policies.PurposeMissing},
		"a reason of blanks":    {auditing.RoleAuditor, "        ", policies.PurposeMissing},
		"a short reason":        {auditing.RoleAuditor, "ver", policies.PurposeMissing},
		"a long reason":         {auditing.RoleAuditor, strings.Repeat("ñ", 201), policies.PurposeMissing},
		"a reason of two lines": {auditing.RoleAuditor, "uno\ndos", policies.PurposeMissing},
		"a turned reason":       {auditing.RoleAuditor, "queja \u202e4410", policies.PurposeMissing},
		"what is not UTF-8":     {auditing.RoleAuditor, "motivo \xff", policies.PurposeMissing},
	} {
		a := auditor()
		a.Identity.Role, a.Purpose = test.role, test.purpose
		for question, ask := range questionsOf(h.Service) {
			if err := ask(t.Context(), a); !errors.Is(err, policies.Refuse(test.code)) {
				t.Errorf("%s, %s: got %v, want %s", name, question, err, test.code)
			}
		}
	}
	if got := len(h.told); got != before {
		t.Errorf("got %d questions recorded, want none", got-before)
	}
	long := auditor()
	long.Purpose = strings.Repeat("ñ", 200)
	for question, ask := range questionsOf(h.Service) {
		if err := ask(t.Context(), long); err != nil {
			t.Errorf("%s for a reason of 200 characters: got %v, want an answer", question, err)
		}
	}
	if got, want := len(h.told)-before, len(questionsOf(h.Service)); got != want {
		t.Errorf("got %d questions recorded, want %d", got, want)
	}
}

var errDown = errors.New("the signer does not answer")

type downRecorder struct{}

func (downRecorder) RecordAudit(context.Context, audit.Entry) (int64, error) { return 0, errDown }

// TestNothingIsAnsweredUnrecorded asks while nothing can be recorded.
func TestNothingIsAnsweredUnrecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(50)...)
	h.publish(t)
	l := &ledger{Store: store.ForAuditor(open(t, h.urls.Auditor))}
	s := auditing.New(auditing.Config{Store: l, Recorder: downRecorder{}, Policy: h.policy, Now: h.clock})
	for question, ask := range questionsOf(s) {
		if err := ask(t.Context(), auditor()); !errors.Is(err, errDown) {
			t.Errorf("%s: got %v, want that it could not be recorded", question, err)
		}
	}
	if l.read > 0 {
		t.Errorf("got %d entries read, want none", l.read)
	}
}

// TestEntry has somebody else verify the proof of each of several entries.
func TestEntry(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(300)...)
	if single, err := h.Entry(t.Context(), auditor(), 7); err != nil || single.Proof != nil || single.Witnessed || !single.Entry.Intact {
		t.Errorf("before it was published: got %+v and %v, want it without a proof", single, err)
	}
	h.publish(t)
	for _, seq := range []int64{0, 7, 299, 300} {
		single, err := h.Entry(t.Context(), auditor(), seq)
		must(t, err)
		r, err := check.Checker{Policy: h.verifiers(t)}.Proof("x.tlog-proof", single.Proof)
		if err != nil || r.Verdict != check.Holds || !single.Witnessed || single.Entry.Seq != seq {
			t.Errorf("entry %d: the verifier says %+v and %v", seq, r, err)
		}
	}
	h.unsigned = true
	seq := int64(len(h.told)) - 1
	h.publish(t)
	if single, err := h.Entry(t.Context(), auditor(), seq); err != nil || single.Proof == nil || single.Witnessed {
		t.Errorf("before it was witnessed: got %+v and %v, want a proof that says so", single, err)
	}
	for seq, code := range map[int64]policies.Code{-1: policies.RangeImpossible, 1 << 40: policies.NotFound, 1<<63 - 1: policies.RangeImpossible} {
		if _, err := h.Entry(t.Context(), auditor(), seq); !errors.Is(err, policies.Refuse(code)) {
			t.Errorf("entry %d: got %v, want %s", seq, err, code)
		}
	}
}

// TestAlteredEntriesAreShown changes entries in every way that leaves them
// there, and one that does not.
func TestAlteredEntriesAreShown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(60)...)
	h.publish(t)
	alterations := map[int64]string{
		1: `UPDATE log_entries SET person = '00000000T' WHERE seq = 1`,
		2: `UPDATE log_entries SET operation = 'OTHER' WHERE seq = 2`,
		3: `UPDATE log_entries SET type = 'sign.refused' WHERE seq = 3`,
		4: `UPDATE log_entries SET at = at - interval '1 microsecond' WHERE seq = 4`,
		5: `UPDATE log_entries SET payload = '{}' WHERE seq = 5`,
		6: `UPDATE log_entries SET salt = sha256('x') WHERE seq = 6`,
		7: `UPDATE log_entries SET leaf = 'x' WHERE seq = 7`,
		8: `UPDATE log_entries SET salt = NULL WHERE seq = 8`,
		9: `UPDATE log_entries e SET (type, operation, person, at, leaf, payload, salt) =
			(SELECT type, operation, person, at, leaf, payload, salt FROM log_entries WHERE seq = 20) WHERE seq = 9`,
	}
	for _, sql := range alterations {
		h.tamper(t, sql)
	}
	h.tamper(t, `UPDATE log_entries SET payload = NULL, salt = NULL, person = '' WHERE seq = 10`)
	found, err := h.Search(t.Context(), auditor(), auditing.Query{Limit: 500})
	must(t, err)
	if len(found.Entries) != 60 {
		t.Errorf("got %d entries, want all 60", len(found.Entries))
	}
	for _, e := range found.Entries {
		_, altered := alterations[e.Seq]
		if e.Intact == altered || altered && e.Facts != nil {
			t.Errorf("entry %d: got intact %v with %v, want %v", e.Seq, e.Intact, e.Facts, !altered)
		}
		if erased := e.Seq == 10 || e.Seq == 8; e.Erased != erased {
			t.Errorf("entry %d: got erased %v, want %v", e.Seq, e.Erased, erased)
		}
	}
	// A rewritten leaf, with its hash: only the checkpoint tells.
	leaf := `{"at":"2026-03-01T09:00:00.000000Z","c":"` + strings.Repeat("A", 43) + `=","op":"FORGED","type":"sign.done","v":1}`
	hash := tlog.RecordHash([]byte(leaf))
	h.tamper(t, `UPDATE log_entries SET leaf = $1, type = 'sign.done', operation = 'FORGED', at = '2026-03-01T09:00:00Z', person = '', payload = NULL, salt = NULL WHERE seq = 30`, []byte(leaf))
	h.tamper(t, `UPDATE log_hashes SET hash = $1 WHERE index = $2`, hash[:], tlog.StoredHashIndex(0, 30))
	if single, err := h.Entry(t.Context(), auditor(), 30); err != nil || single.Entry.Intact {
		t.Errorf("a forged leaf: got %+v and %v, want it shown as not intact", single.Entry, err)
	}
	h.tamper(t, `DELETE FROM log_entries WHERE seq = 40`)
	if single, err := h.Entry(t.Context(), auditor(), 40); err != nil || single.Entry.Intact || single.Entry.Seq != 40 {
		t.Errorf("a removed entry: got %+v and %v, want that it is not intact", single.Entry, err)
	}
}

func TestOperation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(400)...)
	var facts []fact
	for i := range 1010 {
		facts = append(facts, fact{kind: audit.ServiceStarted, operation: "signer", at: h.now.Add(time.Duration(i) * time.Second)})
	}
	h.append(t, facts...)
	for _, id := range []string{h.told[100].operation, "signer"} {
		found, err := h.Operation(t.Context(), auditor(), id)
		must(t, err)
		want := ascending(h.numbers(auditing.Query{Operation: id}, found.Size))
		if len(want) > 1000 {
			if found.Next != want[1000] {
				t.Errorf("%s: got %d next, want %d", id, found.Next, want[1000])
			}
			want = want[:1000]
		}
		for i, e := range found.Entries {
			if e.Seq != want[i] {
				t.Fatalf("%s: got entry %d in place %d, want %d", id, e.Seq, i, want[i])
			}
		}
		if len(found.Entries) != len(want) {
			t.Errorf("%s: got %d entries, want %d", id, len(found.Entries), len(want))
		}
	}
	for id, code := range map[string]policies.Code{"NOBODY": policies.NotFound, "": policies.QueryInvalid, "a b": policies.QueryInvalid} {
		if _, err := h.Operation(t.Context(), auditor(), id); !errors.Is(err, policies.Refuse(code)) {
			t.Errorf("operation %q: got %v, want %s", id, err, code)
		}
	}
}

// TestCompleteness computes the root of a range as who has the leaves does.
func TestCompleteness(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.append(t, random(300)...)
	size := h.publish(t)
	for _, at := range [][2]int64{{0, 1}, {0, size}, {17, 200}, {128, 256}, {size - 1, size}} {
		p, err := h.Completeness(t.Context(), auditor(), at[0], at[1])
		must(t, err)
		signed, err := h.verifiers(t).Open(p.Checkpoint)
		must(t, err)
		edge, err := audit.Hashes(p.Edge)
		must(t, err)
		span, err := audit.NewSpan(p.From, edge)
		must(t, err)
		leaves, err := h.signer.Leaves(t.Context(), p.From, p.To)
		must(t, err)
		for _, leaf := range leaves {
			span.Add(leaf)
		}
		consistency, err := audit.Hashes(p.Consistency)
		must(t, err)
		if err := span.Check(signed.Tree, tlog.TreeProof(consistency)); err != nil || span.Tree().Root != tlog.Hash(p.Root) {
			t.Errorf("[%d, %d): got %v, want it proven", at[0], at[1], err)
		}
	}
	for _, at := range [][2]int64{{-1, 5}, {5, 5}, {6, 5}, {0, 1 << 40}, {0, 1<<63 - 1}} {
		if _, err := h.Completeness(t.Context(), auditor(), at[0], at[1]); !errors.Is(err, policies.Refuse(policies.RangeImpossible)) {
			t.Errorf("[%d, %d): got %v, want it refused", at[0], at[1], err)
		}
	}
	if _, err := h.Completeness(t.Context(), auditor(), 0, size+1); !errors.Is(err, policies.Refuse(policies.CheckpointMissing)) {
		t.Errorf("past the checkpoint: got %v, want it refused", err)
	}
}
