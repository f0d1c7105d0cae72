package requests_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
	format "github.com/rubrica-firma/rubrica/signer/pdf"
	"github.com/rubrica-firma/rubrica/store"
)

// withdrawer does what the signer does when an envelope has ended.
type withdrawer struct{ db *store.DB }

func (w withdrawer) Withdraw(ctx context.Context, id string) error {
	r, err := w.db.Request(ctx, id)
	if err != nil {
		return err
	}
	return w.db.WithdrawRequest(ctx, id, audit.Entry{
		Type: audit.SignWithdrawn, Operation: id, At: w.db.Now(), Person: r.Identifier,
		Payload: map[string]any{"application": "app", "envelope": r.Envelope, "because": "rejected"},
	})
}

// round is a house with several citizens who sign the same.
type round struct {
	*house
	people []*cmstest.Signer
}

func newRound(t *testing.T, people int) *round {
	t.Helper()
	h := newHouse(t)
	r := &round{house: h}
	h.Withdrawer = withdrawer{h.db}
	h.citizen()
	h.exec(`UPDATE citizens SET given_name = 'Ana', surnames = 'de la Torre' WHERE id = 'maria'`, nil)
	now := h.clock.Now()
	for i := range people {
		s := h.signer
		if i > 0 {
			s = h.signer.Authority.Signer(t, "p256")
			who := fmt.Sprint("c", i)
			h.exec(`
				INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
				SELECT @id, @identifier, 'Eva', 'Gil', '+3461000000' || @n, 'a@example.es', 'es', 'active', document_until, created_at FROM citizens WHERE id = 'maria'`,
				pgx.NamedArgs{"id": who, "identifier": r.identifier(i), "n": fmt.Sprint(i)})
			h.exec(`
				INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at)
				VALUES (@id, 'office', 'advanced', 'O1', 'office', @now)`, pgx.NamedArgs{"id": who, "now": now})
			h.exec(`
				INSERT INTO credentials (id, citizen_id, generation, state, algorithm, public_key, salt, argon_memory_kib, argon_passes, argon_lanes, box, created_at, password_at)
				VALUES (@id, @id, 1, 'usable', 'ec-p256', 'x', 'x', 1, 1, 1, 'x', @now, @now)`, pgx.NamedArgs{"id": who, "now": now})
			h.exec(`
				INSERT INTO certificates (serial, credential_id, state, der, not_before, not_after, lease_until, issuer, shard)
				VALUES (@serial, @id, 'issued', @der, @before, @after, @after, 'issuing-1', 'issuing-1-2026-1')`, pgx.NamedArgs{
				"serial": fmt.Sprintf("%x", s.Certificate.SerialNumber.Bytes()), "id": who, "der": s.Certificate.Raw,
				"before": s.Certificate.NotBefore, "after": s.Certificate.NotAfter,
			})
		}
		r.people = append(r.people, s)
	}
	return r
}

// identifier is that of the citizen of an index; the letter is of nobody's concern
// here.
func (r *round) identifier(i int) string {
	if i == 0 {
		return identifier
	}
	return fmt.Sprintf("%08dX", i)
}

func (r *round) order(ordering signer.Ordering, uploads ...requests.Upload) requests.EnvelopeSubmission {
	sub := requests.EnvelopeSubmission{Submission: r.submission(uploads...), Ordering: ordering}
	sub.Identifier = ""
	for i := range r.people {
		sub.Signers = append(sub.Signers, requests.EnvelopeSigner{Identifier: r.identifier(i)})
	}
	return sub
}

func (r *round) envelope(sub requests.EnvelopeSubmission) signer.Envelope {
	r.Helper()
	e, err := r.SubmitEnvelope(r.Context(), sub)
	if err != nil {
		r.Fatalf("SubmitEnvelope: %v", err)
	}
	return e
}

func (r *round) look(id string) signer.Envelope {
	r.Helper()
	e, err := r.Envelopes.Envelope(r.Context(), id)
	if err != nil {
		r.Fatal(err)
	}
	return e
}

func (r *round) settle(id string) signer.Envelope {
	r.Helper()
	if err := r.Settle(r.Context(), id); err != nil {
		r.Fatalf("Settle: %v", err)
	}
	return r.look(id)
}

// visit is a citizen before a page that shows what is to be signed.
type visit struct {
	*round
	person  int
	request signer.Request
	ticket  signer.Ticket
	intent  signer.Intent
}

func (r *round) visit(person int, requestID string) *visit {
	r.Helper()
	v := &visit{round: r, person: person, ticket: signer.NewTicket()}
	now, who := r.clock.Now(), v.who()
	err := r.db.OpenSession(r.Context(), signer.TicketRow{
		Hash: v.ticket.Hash(), Purpose: signer.ForSignature, RequestID: requestID, CitizenID: who, CredentialID: v.key(),
		Generation: 1, SealedKey: []byte("x"), ExpiresAt: now.Add(10 * time.Minute),
	}, audit.Entry{
		Type: audit.AuthSucceeded, Operation: requestID, At: now, Person: r.identifier(person), Payload: map[string]any{"factor": "knowledge"},
	})
	if err != nil {
		r.Fatal(err)
	}
	v.request = r.fix(requestID, v.ticket)
	return v
}

func (v *visit) who() string {
	if v.person == 0 {
		return "maria"
	}
	return fmt.Sprint("c", v.person)
}

func (v *visit) key() string {
	if v.person == 0 {
		return "key"
	}
	return v.who()
}

func (v *visit) entry(kind audit.EventType) audit.Entry {
	schema, _ := audit.SchemaOf(kind)
	return audit.Entry{Type: kind, Operation: v.request.ID, At: v.clock.Now(), Person: v.identifier(v.person), Payload: schema.Example()}
}

// authorise consents with a code to what was shown, begin is about to use the key,
// finish stores what it made: the transactions of the signer.
func (v *visit) authorise() error {
	now := v.clock.Now()
	bound := make([]signer.Bound, len(v.request.Documents))
	for i, d := range v.request.Documents {
		bound[i] = signer.Bind(d)
	}
	code := rand.Text()
	_, err := v.owner.Exec(v.Context(), `
		INSERT INTO challenges (id, ticket_hash, purpose, request_id, citizen_id, phone, mac, reference, documents, state, created_at, expires_at)
		VALUES (@id, @ticket, 'signature', @request, @citizen, '+34', 'x', 'ABCD', @documents, 'sent', @now, @expires)`, pgx.NamedArgs{
		"id": code, "ticket": v.ticket.Hash(), "request": v.request.ID, "citizen": v.who(), "documents": bound, "now": now, "expires": now.Add(time.Minute),
	})
	if err != nil {
		return err
	}
	certificate := v.people[v.person].Certificate
	v.intent = signer.Intent{
		ID: rand.Text(), RequestID: v.request.ID, ApplicationID: "app", ChallengeID: code, CitizenID: v.who(), CredentialID: v.key(),
		Generation: 1, Serial: fmt.Sprintf("%x", certificate.SerialNumber.Bytes()), Certificate: []byte("x"), Documents: bound, CreatedAt: now, ExpiresAt: now.Add(5 * time.Minute),
		SADHash: []byte(rand.Text()), SealedKey: []byte("x"),
		Request: v.request, Version: 1, LeaseUntil: now.Add(time.Minute),
	}
	return v.db.Authorise(v.Context(), signer.Consent{Authorisation: v.intent.Authorisation, TicketHash: v.ticket.Hash(), Version: 1, Envelope: v.request.Envelope}, v.entry(audit.SignAuthorised))
}

func (v *visit) begin() error {
	return v.db.BeginSignature(v.Context(), v.intent, v.entry(audit.SignIntent))
}

func (v *visit) finish() error {
	by := v.people[v.person]
	signatures := make([][]byte, len(v.request.Documents))
	for i, d := range v.request.Documents {
		signatures[i] = by.SignParams(v, cades.Params{
			ContentDigest: d.Digest, Hash: crypto.SHA256, Certificate: by.Certificate, SigningTime: d.SigningTime, PAdES: d.Format == signer.PAdES,
		})
	}
	return v.db.FinishSignature(v.Context(), v.intent, signatures, signer.Notice{}, v.entry(audit.SignDone))
}

func (v *visit) sign() error {
	for _, step := range []func() error{v.authorise, v.begin, v.finish} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) refuse() error {
	return v.db.RefuseRequest(v.Context(), v.ticket.Hash(), v.entry(audit.SignRefused))
}

func (r *round) signs(person int, requestID string) {
	r.Helper()
	if err := r.visit(person, requestID).sign(); err != nil {
		r.Fatalf("signer %d: %v", person+1, err)
	}
}

func states(e signer.Envelope) string {
	list := []string{string(e.State)}
	for _, s := range e.Signers {
		list = append(list, string(s.State))
	}
	return strings.Join(list, " ")
}

func (r *round) want(e signer.Envelope, want string) {
	r.Helper()
	if got := states(e); got != want {
		r.Errorf("got %q, want %q", got, want)
	}
}

// document is what an envelope's application fetches.
func (r *round) document(e signer.Envelope, ordinal int) []byte {
	r.Helper()
	got, err := r.EnvelopeResult(r.Context(), e, ordinal)
	if err != nil {
		r.Fatalf("EnvelopeResult: %v", err)
	}
	return whole(r.T, got.File)
}

// wantPDF asks pdfsig how many valid signatures a PDF has, of which the last covers
// all of it.
func (r *round) wantPDF(content []byte, signatures int) {
	r.Helper()
	if !bytes.HasPrefix(content, pdf(r.T).Content) {
		r.Error("got a PDF that does not begin with the one that came")
	}
	file := filepath.Join(r.TempDir(), "signed.pdf")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		r.Fatal(err)
	}
	out, err := exec.CommandContext(r.Context(), "pdfsig", "-nocert", file).CombinedOutput()
	valid, total := strings.Count(string(out), "Signature is Valid."), strings.Count(string(out), "Total document signed")
	if err != nil || valid != signatures || total != 1 {
		r.Errorf("pdfsig: %d valid, %d of them over everything, %v; want %d and one\n%s", valid, total, err, signatures, out)
	}
}

// wantCMS asks openssl, and counts the signers.
func (r *round) wantCMS(der, content []byte, signatures int) {
	r.Helper()
	r.openssl(r.T, der, content)
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		r.Fatal(err)
	}
	if len(m.Signers) != signatures {
		r.Errorf("got %d signers, want %d", len(m.Signers), signatures)
	}
	if err := m.Conforms(); err != nil {
		r.Errorf("the message put together: %v", err)
	}
}

// TestEnvelope has three sign a PDF and two other files, at once and in order.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, ordering := range []signer.Ordering{signer.Parallel, signer.Sequential} {
		t.Run(string(ordering), func(t *testing.T) {
			t.Parallel()
			r := newRound(t, 3)
			sub := r.order(ordering, pdf(t), text(signer.CAdESDetached), text(signer.CAdESAttached))
			e := r.envelope(sub)
			if again := r.envelope(sub); !cmp.Equal(e, again) {
				t.Errorf("the repetition gives another envelope: %s", cmp.Diff(e, again))
			}
			asked := map[signer.Ordering][]string{
				signer.Parallel:   {"pending pending pending pending", "pending signed pending pending", "pending signed signed pending"},
				signer.Sequential: {"pending pending  ", "pending signed pending ", "pending signed signed pending"},
			}[ordering]
			for i := range r.people {
				r.want(e, asked[i])
				_, err := r.EnvelopeResult(t.Context(), e, 1)
				if none := errors.Is(err, policies.Refuse(policies.RequestState)); none != (i == 0) {
					t.Errorf("after %d signatures: %v", i, err)
				}
				r.signs(i, e.Signers[i].RequestID)
				e = r.settle(e.ID)
				r.wantPDF(r.document(e, 1), i+1)
				r.wantCMS(r.document(e, 2), text(signer.CAdESDetached).Content, i+1)
				r.wantCMS(r.document(e, 3), nil, i+1)
			}
			r.want(e, "completed signed signed signed")
			// Each request's own result stays what its signer signed.
			first, err := r.Result(t.Context(), r.read(e.Signers[0].RequestID), 1)
			if err != nil {
				t.Fatal(err)
			}
			r.wantPDF(whole(t, first.File), 1)
			_, err = r.CancelEnvelope(t.Context(), e)
			wantRefusal(t, err, policies.RequestState)
			_, err = r.EnvelopeResult(t.Context(), e, 4)
			wantRefusal(t, err, policies.NotFound)
		})
	}
}

// TestEnvelopeOvertaken: who consents to a PDF that somebody else has signed since
// keeps session and code's worth, looks again, and signs what is there now.
func TestEnvelopeOvertaken(t *testing.T) {
	t.Parallel()
	r := newRound(t, 2)
	e := r.envelope(r.order(signer.Parallel, pdf(t)))
	first, second := r.visit(0, e.Signers[0].RequestID), r.visit(1, e.Signers[1].RequestID)
	if err := first.authorise(); err != nil {
		t.Fatal(err)
	}
	// While the other's signature is on its way, and after it.
	wantRefusal(t, second.authorise(), policies.Busy)
	if err := first.begin(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, second.authorise(), policies.Busy)
	if err := first.finish(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, second.authorise(), policies.DocumentChanged)
	if overtaken, err := r.Overtaken(t.Context(), second.request); !overtaken || err != nil {
		t.Errorf("got overtaken %t, %v", overtaken, err)
	}
	before := second.request.Reference()
	second.request = r.fix(second.request.ID, second.ticket) // the same session
	if second.request.Reference() == before || second.request.Documents[0].Revision != 1 {
		t.Errorf("got revision %d, reference %s as before: %t", second.request.Documents[0].Revision, before, second.request.Reference() == before)
	}
	shown, err := r.Original(t.Context(), second.request.ID, second.request.Documents[0])
	if err != nil {
		t.Fatal(err)
	}
	r.wantPDF(whole(t, shown), 1)
	if err := second.sign(); err != nil {
		t.Fatal(err)
	}
	e = r.settle(e.ID)
	r.want(e, "completed signed signed")
	r.wantPDF(r.document(e, 1), 2)
}

// TestEnvelopeAtOnce: eight consent in the same moment, again and again until all
// have signed. However they meet, each signature covers those before it.
func TestEnvelopeAtOnce(t *testing.T) {
	t.Parallel()
	const people = 8
	r := newRound(t, people)
	e := r.envelope(r.order(signer.Parallel, pdf(t)))
	var all sync.WaitGroup
	for i := range people {
		all.Go(func() {
			v := r.visit(i, e.Signers[i].RequestID)
			for range 200 {
				err := v.sign()
				if err == nil {
					return
				}
				if !errors.Is(err, policies.Refuse(policies.DocumentChanged)) && !errors.Is(err, policies.Refuse(policies.Busy)) {
					t.Errorf("signer %d: %v", i+1, err)
					return
				}
				time.Sleep(5 * time.Millisecond)
				v.request = r.fix(v.request.ID, v.ticket)
			}
			t.Errorf("signer %d never had a turn", i+1)
		})
	}
	all.Wait()
	e = r.settle(e.ID)
	if e.State != signer.EnvelopeCompleted {
		t.Fatalf("got %s", states(e))
	}
	for i, s := range e.Signed() {
		if s.Revision != i {
			t.Errorf("signature %d covers %d others", i+1, s.Revision)
		}
	}
	r.wantPDF(r.document(e, 1), people)
}

// Two who were let through together, because the database of one lagged behind, do
// not both use their keys.
func TestEnvelopeOneBegins(t *testing.T) {
	t.Parallel()
	r := newRound(t, 2)
	e := r.envelope(r.order(signer.Parallel, pdf(t)))
	first, second := r.visit(0, e.Signers[0].RequestID), r.visit(1, e.Signers[1].RequestID)
	if err := first.authorise(); err != nil {
		t.Fatal(err)
	}
	r.exec(`UPDATE authorisations SET created_at = created_at - interval '2 minutes'`, nil)
	if err := second.authorise(); err != nil {
		t.Fatal(err)
	}
	r.exec(`UPDATE authorisations SET created_at = created_at - interval '2 minutes'`, nil)
	if err := first.begin(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, second.begin(), policies.Busy)
	if err := first.finish(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, second.begin(), policies.DocumentChanged)
	r.want(r.look(e.ID), "pending signed pending")
}

// TestEnvelopeEnds: a refusal, the time and the application end an envelope for all
// who have not signed; whose key is at work is not interrupted.
func TestEnvelopeEnds(t *testing.T) {
	t.Parallel()
	expire := func(r *round, e signer.Envelope) error {
		id := e.Signers[1].RequestID
		return r.db.ExpireRequest(r.Context(), id, audit.Entry{Type: audit.SignExpired, Operation: id, At: r.clock.Now(), Person: r.identifier(1), Payload: map[string]any{"application": "app"}})
	}
	for name, tt := range map[string]struct {
		end  func(r *round, e signer.Envelope) error
		want string
	}{
		"rejected":  {func(r *round, e signer.Envelope) error { return r.visit(1, e.Signers[1].RequestID).refuse() }, "rejected signed refused withdrawn"},
		"expired":   {expire, "expired signed expired withdrawn"},
		"cancelled": {func(r *round, e signer.Envelope) error { _, err := r.CancelEnvelope(r.Context(), e); return err }, "cancelled signed withdrawn withdrawn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRound(t, 3)
			e := r.envelope(r.order(signer.Parallel, pdf(t), text(signer.CAdESDetached)))
			late := r.visit(2, e.Signers[2].RequestID)
			r.signs(0, e.Signers[0].RequestID)
			late.request = r.fix(late.request.ID, late.ticket)
			if err := tt.end(r, e); err != nil {
				t.Fatal(err)
			}
			// Even before anybody has settled it, nobody signs any more.
			wantRefusal(t, late.authorise(), policies.RequestState)
			e = r.settle(r.settle(e.ID).ID)
			r.want(e, tt.want)
			if e.ClosedAt.IsZero() {
				t.Error("it has ended, and has no end")
			}
			r.wantPDF(r.document(e, 1), 1) // what there is, is to be had
			var logged int
			err := r.owner.QueryRow(t.Context(), `SELECT count(*) FROM log_entries WHERE type = 'sign.withdrawn'`).Scan(&logged)
			if want := strings.Count(tt.want, "withdrawn"); err != nil || logged != want {
				t.Errorf("got %d entries of a withdrawal, %v, want %d", logged, err, want)
			}
		})
	}
	t.Run("while one signs", func(t *testing.T) {
		t.Parallel()
		r := newRound(t, 2)
		e := r.envelope(r.order(signer.Parallel, pdf(t)))
		v := r.visit(0, e.Signers[0].RequestID)
		if err := errors.Join(v.authorise(), v.begin()); err != nil {
			t.Fatal(err)
		}
		e, err := r.CancelEnvelope(t.Context(), r.look(e.ID))
		if err != nil {
			t.Fatal(err)
		}
		r.want(e, "cancelled signing withdrawn")
		if err := v.finish(); err != nil {
			t.Fatal(err)
		}
		r.want(r.settle(e.ID), "cancelled signed withdrawn")
		if again, err := r.CancelEnvelope(t.Context(), r.look(e.ID)); err != nil || again.State != signer.EnvelopeCancelled {
			t.Errorf("cancelled again: %s, %v", again.State, err)
		}
	})
	t.Run("while the last one signs", func(t *testing.T) {
		t.Parallel()
		r := newRound(t, 2)
		e := r.envelope(r.order(signer.Sequential, pdf(t)))
		r.signs(0, e.Signers[0].RequestID)
		e = r.settle(e.ID)
		v := r.visit(1, e.Signers[1].RequestID)
		if err := errors.Join(v.authorise(), v.begin()); err != nil {
			t.Fatal(err)
		}
		_, err := r.CancelEnvelope(t.Context(), r.look(e.ID))
		wantRefusal(t, err, policies.RequestState)
		if err := v.finish(); err != nil {
			t.Fatal(err)
		}
		r.want(r.settle(e.ID), "completed signed signed")
	})
	t.Run("before the second is asked", func(t *testing.T) {
		t.Parallel()
		r := newRound(t, 2)
		e := r.envelope(r.order(signer.Sequential, text(signer.CAdESDetached)))
		r.signs(0, e.Signers[0].RequestID)
		r.clock.now = e.ExpiresAt // nobody could settle it until then
		r.want(r.settle(e.ID), "expired signed ")
	})
}

// TestEnvelopeNextOnce: whoever asks for the next signer, however many at once, one
// request is made.
func TestEnvelopeNextOnce(t *testing.T) {
	t.Parallel()
	r := newRound(t, 3)
	e := r.envelope(r.order(signer.Sequential, text(signer.CAdESDetached)))
	r.signs(0, e.Signers[0].RequestID)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := r.Settle(t.Context(), e.ID); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := r.count("requests"); got != 2 {
		t.Errorf("got %d requests, want 2", got)
	}
	r.want(r.look(e.ID), "pending signed pending ")
	r.want(r.settle(e.ID), "pending signed pending ")
	// What waits for its time waits for River's leader, too, which may have died.
	var atOnce, later int
	err := r.owner.QueryRow(t.Context(), `
		SELECT count(*) FILTER (WHERE state = 'available'), count(*) FILTER (WHERE state = 'scheduled')
		FROM river_job
		WHERE kind = 'envelope'`).Scan(&atOnce, &later)
	if err != nil || atOnce != 1 || later != 2 {
		t.Errorf("got %d jobs for now and %d for later, %v; want one of each for its outcome, and one for later of when it was stored", atOnce, later, err)
	}
}

// TestEnvelopeLevels: a signature has its time-stamp before the next one covers it.
func TestEnvelopeLevels(t *testing.T) {
	t.Parallel()
	r := newRound(t, 2)
	r.lifting()
	paper, note := pdf(t), text(signer.CAdESDetached)
	paper.Level, note.Level = cades.BLTA, cades.BLTA
	e := r.envelope(r.order(signer.Parallel, paper, note))
	for i := range r.people {
		r.signs(i, e.Signers[i].RequestID) // nobody augments but who needs it
	}
	e = r.settle(e.ID)
	if err := errors.Join(r.Augment(t.Context(), e.Signers[0].RequestID), r.Augment(t.Context(), e.Signers[1].RequestID)); err != nil {
		t.Fatal(err)
	}
	for ordinal := 1; ordinal <= 2; ordinal++ {
		got, err := r.EnvelopeResult(t.Context(), e, ordinal)
		if err != nil || got.Level != cades.BLTA {
			t.Fatalf("document %d: got %s, %v", ordinal, got.Level, err)
		}
		content := whole(t, got.File)
		if ordinal == 2 {
			r.wantCMS(content, note.Content, 2)
			m, err := cms.Open(bytes.NewReader(content), int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			for i := range m.Signers {
				if level := cades.LevelOf(m, i, r.signer.Authority.Root); level != cades.BLTA {
					t.Errorf("put together, signer %d has %s", i+1, level)
				}
			}
			continue
		}
		f, err := format.Open(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		held, err := pades.Signatures(f)
		if err != nil || len(held) != 4 {
			t.Fatalf("got %d signatures and document time-stamps, %v; want two of each", len(held), err)
		}
		for i, signature := range []*pades.Signature{held[0], held[2]} {
			if level, err := pades.LevelOf(f, signature, held, r.signer.Authority.Root); err != nil || level != cades.BLTA {
				t.Errorf("signature %d has %s, %v", i+1, level, err)
			}
		}
	}
}

// TestEnvelopeRetention: what an envelope that waits still needs is kept, however
// long ago the first signed.
func TestEnvelopeRetention(t *testing.T) {
	t.Parallel()
	r := newRound(t, 2)
	e := r.envelope(r.order(signer.Sequential, pdf(t)))
	r.signs(0, e.Signers[0].RequestID)
	e = r.settle(e.ID)
	purge := func() {
		t.Helper()
		kept, ok := r.Store.(store.Public)
		if !ok {
			t.Fatal("the house has another store")
		}
		if err := kept.Purge(t.Context(), r.clock.Now().Add(240*time.Hour), time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	purge()
	r.wantPDF(r.document(e, 1), 1)
	r.signs(1, e.Signers[1].RequestID)
	e = r.settle(e.ID)
	r.wantPDF(r.document(e, 1), 2)
	purge()
	_, err := r.EnvelopeResult(t.Context(), e, 1)
	wantRefusal(t, err, policies.NotFound)
}

func TestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	r := newRound(t, 2)
	stamped := func(s *requests.EnvelopeSubmission) {
		s.Documents[0].Options.Stamp = &requests.Stamp{Place: "bottom-left"}
	}
	for name, tt := range map[string]struct {
		change func(*requests.EnvelopeSubmission)
		code   policies.Code
		params map[string]string
	}{
		"no order":                 {func(s *requests.EnvelopeSubmission) { s.Ordering = "" }, policies.RequestMalformed, map[string]string{"field": "order"}},
		"one signer":               {func(s *requests.EnvelopeSubmission) { s.Signers = s.Signers[:1] }, policies.RequestMalformed, map[string]string{"field": "signers"}},
		"21 signers":               {func(s *requests.EnvelopeSubmission) { s.Signers = make([]requests.EnvelopeSigner, 21) }, policies.RequestMalformed, map[string]string{"field": "signers"}},
		"the same twice":           {func(s *requests.EnvelopeSubmission) { s.Signers[1] = s.Signers[0] }, policies.RequestMalformed, map[string]string{"field": "signers/1/identifier"}},
		"a title of lines":         {func(s *requests.EnvelopeSubmission) { s.Signers[1].Title = "a\nb" }, policies.RequestMalformed, map[string]string{"field": "signers/1/title"}},
		"one stamp over the other": {stamped, policies.RequestMalformed, map[string]string{"field": "signers/1/signature", "document": "1"}},
		"one field for both":       {func(s *requests.EnvelopeSubmission) { s.Documents[0].Options.Field = "Firma" }, policies.RequestMalformed, map[string]string{"field": "signers/1/signature", "document": "1"}},
		"certified":                {func(s *requests.EnvelopeSubmission) { s.Documents[0].Options.Certify = 2 }, policies.RequestMalformed, map[string]string{"field": "signature/certification", "document": "1"}},
		"a stamp beyond the page": {func(s *requests.EnvelopeSubmission) {
			s.Signers[1].Options.Stamp = &requests.Stamp{Page: 9}
		}, policies.StampInvalid, map[string]string{"document": "1", "signer": "2"}},
		"a field that is not there": {func(s *requests.EnvelopeSubmission) { s.Signers[1].Options.Field = "Firma" }, policies.FieldUnknown, map[string]string{"document": "1", "signer": "2"}},
		"no title":                  {func(s *requests.EnvelopeSubmission) { s.Title = "" }, policies.RequestMalformed, map[string]string{"field": "title"}},
		"another return address":    {func(s *requests.EnvelopeSubmission) { s.ReturnURL += "x" }, policies.ReturnAddressUnknown, nil},
		"no key":                    {func(s *requests.EnvelopeSubmission) { s.IdempotencyKey = "" }, policies.IdempotencyKeyMissing, nil},
		"stamps apart": {func(s *requests.EnvelopeSubmission) {
			stamped(s)
			s.Signers[1].Options.Stamp = &requests.Stamp{Place: "bottom-right"}
		}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sub := r.order(signer.Parallel, pdf(t), text(signer.CAdESDetached))
			sub.IdempotencyKey = name
			tt.change(&sub)
			_, err := r.SubmitEnvelope(t.Context(), sub)
			wantRefusal(t, err, tt.code)
			if refusal, ok := errors.AsType[*policies.Refusal](err); ok {
				for param, want := range tt.params {
					if got := refusal.Params[param]; got != want {
						t.Errorf("parameter %s: got %q, want %q", param, got, want)
					}
				}
			}
		})
	}
	sub := r.order(signer.Parallel, pdf(t))
	r.envelope(sub)
	other := sha256.Sum256([]byte("another body"))
	sub.BodyHash = other[:]
	_, err := r.SubmitEnvelope(t.Context(), sub)
	wantRefusal(t, err, policies.IdempotencyKeyReused)
}

// Twenty strangers are asked in one go; each is told of nineteen.
func TestEnvelopeOfTwenty(t *testing.T) {
	t.Parallel()
	r := newRound(t, 2)
	sub := r.order(signer.Parallel, pdf(t), text(signer.CAdESDetached))
	for i := len(sub.Signers); i < 20; i++ {
		sub.Signers = append(sub.Signers, requests.EnvelopeSigner{Identifier: fmt.Sprintf("%08dZ", i)})
	}
	e := r.envelope(sub)
	if got := r.count("contents"); got != 2 {
		t.Errorf("got %d contents, want each document once", got)
	}
	r.signs(1, e.Signers[1].RequestID)
	others, err := r.Cosigners(t.Context(), r.read(e.Signers[2].RequestID))
	if err != nil || len(others) != 19 {
		t.Fatalf("got %d others, %v", len(others), err)
	}
	if diff := cmp.Diff([]requests.Cosigner{{Initials: "A. T."}, {Initials: "E. G.", Signed: true}, {}}, others[:3]); diff != "" {
		t.Errorf("others (-want +got):\n%s", diff)
	}
	sub.Documents = append(sub.Documents, pdf(t))
	for len(sub.Documents) < 11 {
		sub.Documents = append(sub.Documents, text(signer.CAdESDetached))
	}
	r.Limits.Documents, r.Limits.InlineDocuments = 100, 100
	_, err = r.SubmitEnvelope(t.Context(), sub)
	wantRefusal(t, err, policies.RequestTooManyDocs)
}
