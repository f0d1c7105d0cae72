package auditing_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/internal/audittest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// house is a log in a database of its own, with the auditors' service in front.
// Whatever it is told to append, it remembers.
type house struct {
	*auditing.Service

	urls   pgtest.Database
	signer *store.DB
	now    time.Time

	mu   sync.Mutex
	told []fact // by number

	key      *audit.LogKey
	witness  *audittest.Witness
	policy   audit.Policy
	unsigned bool
}

// fact is what an entry says, as far as it is searched by.
type fact struct {
	kind                                                    audit.EventType
	operation, person, about, application, serial, document string
	at                                                      time.Time
}

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{urls: pgtest.New(t, store.Migrate), now: epoch}
	h.signer = open(t, h.urls.Signer)
	h.signer.Now = h.clock
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	h.key, err = audit.NewLogKey(audittest.Origin, key)
	must(t, err)
	h.witness = audittest.NewWitness(t, "w1")
	h.policy, err = audit.ParsePolicy(fmt.Appendf(nil, "witness w1 %s\nquorum w1\n", h.witness.VerifierKey(t)))
	must(t, err)
	must(t, h.signer.FirstTree(t.Context(), publication.Tree{Origin: audittest.Origin, Key: h.key.VerifierKey(), BegunAt: epoch}))
	h.Service = auditing.New(auditing.Config{
		Store: store.ForAuditor(open(t, h.urls.Auditor)), Recorder: h, Policy: h.policy,
		SignerReady: func(context.Context) error { return nil }, Now: h.clock,
	})
	return h
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// verifiers believe the log as well.
func (h *house) verifiers(t *testing.T) audit.Policy {
	t.Helper()
	p, err := h.policy.WithLog(h.key.VerifierKey())
	must(t, err)
	return p
}

// RecordAudit implements auditing.Recorder as the signer does.
func (h *house) RecordAudit(ctx context.Context, e audit.Entry) (int64, error) {
	seq, err := h.signer.RecordAudit(ctx, e)
	if err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	question, _ := e.Payload["question"].(map[string]any)
	text := func(name string) string { s, _ := question[name].(string); return s }
	h.told = append(h.told, fact{
		kind: e.Type, operation: e.Operation, at: h.now,
		about: text("about"), application: text("application"), serial: text("certificate"), document: text("document"),
	})
	if seq != int64(len(h.told)-1) {
		return 0, fmt.Errorf("got number %d, want %d", seq, len(h.told)-1)
	}
	return seq, nil
}

// append adds facts, in portions.
func (h *house) append(t *testing.T, facts ...fact) {
	t.Helper()
	for part := range slices.Chunk(facts, 500) {
		entries := make([]audit.Entry, len(part))
		for i, f := range part {
			entries[i] = f.entry()
			h.now = later(h.now, f.at)
		}
		must(t, h.signer.Log(t.Context(), entries...))
		h.told = append(h.told, part...)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// entry has what its schema requires, and says the fact.
func (f fact) entry() audit.Entry {
	schema, _ := audit.SchemaOf(f.kind)
	payload := schema.Example()
	put := func(into map[string]any, name, value string) {
		if value != "" {
			into[name] = value
		}
	}
	put(payload, "application", f.application)
	put(payload, "serial", f.serial)
	if f.document != "" && f.kind != audit.AuditQueried {
		payload["documents"] = []any{map[string]any{"ordinal": 1, "sha256": f.document}}
	}
	if f.kind == audit.AuditQueried {
		question := map[string]any{}
		put(question, "about", f.about)
		put(question, "document", f.document)
		payload["question"] = question
	}
	return audit.Entry{Type: f.kind, Operation: f.operation, At: f.at, Person: f.person, Payload: maps.Clone(payload)}
}

// Those that random logs are about.
var (
	people       = []string{"12345678Z", "00000001R", "X1234567L", "99999999R"}
	applications = []string{"sede", "tributos", "padron"}
	serials      = []string{"1a2b3c", "ff", "deadbeef"}
)

func documents() []string {
	var all []string
	for i := range 4 {
		all = append(all, fmt.Sprintf("%064x", 1000+i))
	}
	return all
}

// random is a log in which some things are frequent and others rare, together
// or never.
func random(n int) []fact {
	r := rand.New(rand.NewPCG(7, 7)) // the same log each time
	facts := make([]fact, n)
	at := epoch
	for i := range facts {
		at = at.Add(time.Duration(r.IntN(3000)) * time.Millisecond).Truncate(time.Microsecond)
		f := fact{operation: fmt.Sprintf("OP%d", r.IntN(n/5+1)), at: at.Add(-time.Duration(r.IntN(120)) * time.Second)}
		rare := func(n int) int { return min(r.IntN(n), r.IntN(n), r.IntN(n)) }
		f.person = people[rare(len(people)-1)]
		switch r.IntN(8) {
		case 0:
			f.kind, f.application, f.document = audit.SignRequested, applications[rare(3)], documents()[rare(4)]
		case 1, 2:
			f.kind, f.application, f.document, f.serial = audit.SignDone, applications[rare(3)], documents()[rare(4)], serials[rare(3)]
		case 3:
			f.kind, f.application = audit.SignRefused, applications[rare(3)]
		case 4, 5:
			f.kind, f.application = audit.CodeFailed, applications[rare(2)]
		case 6:
			f.kind, f.person, f.about, f.document = audit.AuditQueried, "", people[r.IntN(4)], documents()[r.IntN(4)]
		case 7:
			f.kind, f.person = audit.ServiceStarted, ""
		}
		facts[i] = f
	}
	return facts
}

// publish makes a witnessed checkpoint of what there is, and returns its size.
func (h *house) publish(t *testing.T) int64 {
	t.Helper()
	head, err := h.signer.LogHead(t.Context())
	must(t, err)
	tree, err := audit.TreeHash(t.Context(), head.Size, h.signer)
	must(t, err)
	p := publication.Published{SignedAt: h.clock(), Origin: audittest.Origin, Tree: tree}
	p.Note, err = h.key.Sign(p.Checkpoint)
	must(t, err)
	_, err = h.signer.SaveCheckpoint(t.Context(), p)
	must(t, err)
	if !h.unsigned {
		signed := p.Note
		p.Note, p.WitnessedAt = slices.Concat(signed, h.witness.Cosign(t, signed, h.clock())), h.clock()
		must(t, h.signer.SaveCosigned(t.Context(), signed, p))
	}
	return head.Size
}

// tamper changes the database as whoever owns it can.
func (h *house) tamper(t *testing.T, sql string, args ...any) {
	t.Helper()
	owner, err := ownerOf(t, h.urls)
	must(t, err)
	_, err = owner.Exec(t.Context(), sql, args...)
	must(t, err)
}

// auditor asks with a reason.
func auditor() auditing.Asking {
	return auditing.Asking{
		Identity: auditing.Identity{ID: "AUDITOR1", Name: "Ana Auditora", Role: auditing.RoleAuditor, By: "certificate"},
		Purpose:  "Petición 17/2026 del juzgado",
	}
}
