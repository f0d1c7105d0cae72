package desk_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// video has a provider send a recording, as the public side stores it.
func (h *house) video(t *testing.T, id, recording string) citizen.Video {
	t.Helper()
	v := citizen.Video{
		ID: id, Provider: "provider", ProviderName: "Proveedor", Office: "central", ReceivedAt: h.clock(), State: citizen.VideoPending,
		Person: citizen.VideoPerson{Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez", Phone: "+34600000421", Email: "ana@example.es", DocumentUntil: "2031-05-31", Locale: "es"},
		Evidence: citizen.VideoEvidence{
			Recording: recording, SHA256: strings.Repeat("7f", 32), RecordedAt: h.clock(), URL: "https://video.example.es/1", Checks: map[string]string{"liveness": "passed"},
		},
	}
	must(t, store.ForPublic(open(t, h.urls.API)).AddVideo(t.Context(), v))
	return v
}

func (h *house) provider(t *testing.T) {
	t.Helper()
	must(t, h.signer.AddApplication(t.Context(), signer.Client{
		ID: "provider", Name: "Proveedor", Organisation: "Proveedor, S. L.", SecretHash: []byte("hash"), Scopes: []string{"registration:video"},
	}, h.clock()))
}

func TestVideos(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.provider(t)
	first, second := h.video(t, "v1", "rec-1"), h.video(t, "v2", "rec-2")
	// The same recording twice is one.
	err := store.ForPublic(open(t, h.urls.API)).AddVideo(ctx, citizen.Video{ID: "v3", Provider: "provider", Office: "central", Evidence: citizen.VideoEvidence{Recording: "rec-1"}, ReceivedAt: h.clock()})
	wantRefusal(t, err, policies.IdempotencyKeyReused)

	videos, err := h.Videos(ctx, asks(luis()))
	must(t, err)
	if diff := cmp.Diff([]citizen.Video{first, second}, videos); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	_, err = h.Video(ctx, asks(eva()), "v1")
	wantRefusal(t, err, policies.NotFound)
	_, _, err = h.Approve(ctx, asks(eva()), "v1")
	wantRefusal(t, err, policies.NotFound)

	// A refusal of the signer leaves it where it is.
	h.answers = func(citizen.Statement) error { return policies.Refuse(policies.PhoneTaken) }
	_, _, err = h.Approve(ctx, asks(luis()), "v1")
	wantRefusal(t, err, policies.PhoneTaken)
	h.answers = func(citizen.Statement) error { return nil }

	v, receipt, err := h.Approve(ctx, asks(luis()), "v1")
	must(t, err)
	if v.State != citizen.VideoApproved || receipt.ActivationCode.Reveal() == "" {
		t.Errorf("got %s and %v, want it approved with a receipt", v.State, receipt)
	}
	s := h.performed[0]
	if s.Kind != citizen.ActRegister || string(s.Application.Mode) != string(policies.ModeVideo) || s.Application.Evidence["recording"] != "rec-1" || s.Application.Evidence["recording_sha256"] != first.Evidence.SHA256 {
		t.Errorf("got %+v, want a registration by video with its evidence", s)
	}
	_, _, err = h.Approve(ctx, asks(rosa()), "v1")
	wantRefusal(t, err, policies.DeskTaken)

	must(t, h.RejectVideo(ctx, asks(rosa()), "v2"))
	wantRefusal(t, h.RejectVideo(ctx, asks(rosa()), "v2"), policies.DeskTaken)
	rejected, err := h.Video(ctx, asks(luis()), "v2")
	must(t, err)
	if rejected.State != citizen.VideoRejected || rejected.Reason != reason || rejected.DecidedBy != "rosa" {
		t.Errorf("got %+v, want it rejected by Rosa with the reason", rejected)
	}
	if videos, err = h.Videos(ctx, asks(luis())); err != nil || len(videos) > 0 {
		t.Errorf("got %v, %v, want none pending", videos, err)
	}
	if len(h.performed) != 1 {
		t.Errorf("got %d registrations, want 1", len(h.performed))
	}
	if _, payloads := h.logged(t, audit.DeskDecided); len(payloads) != 3 || !strings.Contains(payloads[2], `"decision":"rejected"`) {
		t.Errorf("got %v, want two approvals and a rejection in the log", payloads)
	}
}

// Of several who approve at once, one registers.
func TestOfSeveralApprovalsOneCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.provider(t)
	h.video(t, "v1", "rec-1")
	h.answers = func(citizen.Statement) error { time.Sleep(50 * time.Millisecond); return nil }
	succeeded := together(t, 8, func(i int) error {
		_, _, err := h.Approve(t.Context(), asks([]desk.Officer{rosa(), luis()}[i%2]), "v1")
		return err
	})
	if _, decided := h.logged(t, audit.DeskDecided); succeeded != 1 || len(h.performed) != 1 || len(decided) != 1 {
		t.Errorf("got %d approvals, %d registrations and %d decisions, want 1 of each", succeeded, len(h.performed), len(decided))
	}
}

// cut is a store that is gone when a decision about a recording comes.
type cut struct{ desk.Store }

var errCut = errors.New("the database is away")

func (cut) DecideVideo(context.Context, citizen.Turn, citizen.Video) error { return errCut }

// An approval that was interrupted after the registration is gone on with: the
// person is registered once, and gets a code that somebody has seen.
func TestInterruptedApproval(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.provider(t)
	h.video(t, "v1", "rec-1")
	h.answers = func(s citizen.Statement) error {
		if s.Kind == citizen.ActRegister {
			h.person(t, "new", "12345678Z", "Ana", "Núñez", "+34600000421")
			h.sql(t, `UPDATE citizens SET status = 'registered'`)
			h.sql(t, `INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at, evidence) VALUES ('new', 'video', 'advanced', 'central', 'luis', now(), '{"video": "v1"}')`)
		}
		return nil
	}
	whole := h.Store
	h.Store = cut{whole}
	if _, _, err := h.Approve(ctx, asks(luis()), "v1"); !errors.Is(err, errCut) {
		t.Fatalf("got %v, want it interrupted", err)
	}
	h.Store = whole
	_, _, err := h.Approve(ctx, asks(rosa()), "v1")
	wantRefusal(t, err, policies.DeskTaken)
	h.pass(desk.DefaultLimits().Turn)
	v, receipt, err := h.Approve(ctx, asks(rosa()), "v1")
	must(t, err)
	if v.State != citizen.VideoApproved || v.DecidedBy != "rosa" || receipt.CitizenID != "new" || receipt.ActivationCode.Reveal() == "" || receipt.RegisteredAt.IsZero() {
		t.Errorf("got %+v and %+v, want it approved with a whole receipt", v, receipt)
	}
	var kinds []citizen.ActKind
	for _, s := range h.performed {
		kinds = append(kinds, s.Kind)
	}
	if diff := cmp.Diff([]citizen.ActKind{citizen.ActRegister, citizen.ActRenewActivation}, kinds); diff != "" {
		t.Errorf("acts (-want +got):\n%s", diff)
	}
	// Who is active has had a code: the recording ends without another.
	h.sql(t, `UPDATE citizens SET status = 'active'`)
	h.sql(t, `UPDATE video_registrations SET state = 'pending', decided_at = NULL, decided_by = NULL`)
	if _, receipt, err = h.Approve(ctx, asks(luis()), "v1"); err != nil || receipt.ActivationCode.Reveal() != "" || len(h.performed) != 2 {
		t.Errorf("got %+v, %v and %d acts, want it ended without a code", receipt, err, len(h.performed))
	}
}

func TestIncidentsAndQueues(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.provider(t)
	h.person(t, "ana", "12345678Z", "Ana", "Núñez Pérez", "+34600000421")
	h.sql(t, `
		INSERT INTO incidents (id, citizen_id, said, opened_at, closed_at, closed_by, outcome) VALUES
			('open', 'ana', 'No fui yo.', now(), NULL, NULL, NULL),
			('shut', 'ana', 'Tampoco.', now(), now(), 'rosa', 'Era suya.')`)
	h.video(t, "v1", "rec-1")
	_, err := h.Ask(ctx, asks(luis()), changePhone())
	must(t, err)
	incidents, err := h.Incidents(ctx, asks(luis()))
	must(t, err)
	if len(incidents) != 1 || incidents[0].ID != "open" || incidents[0].Name != "Ana Núñez Pérez" || incidents[0].Identifier != "12345678Z" {
		t.Errorf("got %+v, want the open one with whose it is", incidents)
	}
	for office, want := range map[string]citizen.Queues{"central": {Orders: 1, Videos: 1, Incidents: 1}, "barrio": {Incidents: 1}} {
		o := luis()
		o.Office = office
		if got, err := h.Queues(ctx, o); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", office, got, err, want)
		}
	}
	if letters, err := h.Letters(ctx, asks(luis())); err != nil || len(letters) > 0 {
		t.Errorf("got %v, %v, want no letters", letters, err)
	}
}

// paper is a printer that says whose letters it draws.
type paper struct{ printed []string }

func (p *paper) Letters(letters []citizen.PrintableLetter) ([]byte, error) {
	for _, l := range letters {
		p.printed = append(p.printed, l.ID+" "+l.Code)
	}
	return []byte("%PDF-"), nil
}

func TestLettersArePrinted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	printer := &paper{}
	h.Printer = printer
	h.sql(t, `
		INSERT INTO letters (id, identifier, recipient, state, requested_at, expires_at, seal_epoch, seal)
		SELECT 'l' || n, lpad((n * 23)::text, 8, '0') || 'T', '{}', 'requested', now() - n * interval '1 hour', now() + '1 year', 1, ''
		FROM generate_series(1, 3) n`)
	h.receipts = func(s citizen.Statement) citizen.Receipt {
		return citizen.Receipt{Code: `{"id":"` + s.Subject + `","code":"SECRET"}`}
	}
	h.answers = func(s citizen.Statement) error {
		if s.Subject == "l2" {
			return policies.Refuse(policies.NotFound) // printed by somebody else a moment ago
		}
		return nil
	}
	pdf, n, err := h.Print(t.Context(), asks(luis()), []string{"l1", "l2", "unknown"})
	if err != nil || n != 1 || string(pdf) != "%PDF-" {
		t.Fatalf("got %q, %d, %v, want one letter", pdf, n, err)
	}
	if diff := cmp.Diff([]string{"l1 SECRET"}, printer.printed); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
	if s := h.performed[0]; s.Kind != citizen.ActPrintLetter || s.Identifier.String() != "00000023T" || s.Officer != "Luis Vega (luis)" {
		t.Errorf("got %+v, want the letter's statement", s)
	}
	if _, payloads := h.logged(t, audit.DeskActed); len(payloads) != 2 || strings.Contains(strings.Join(payloads, ""), "SECRET") {
		t.Errorf("got %v, want both attempts in the log and no code", payloads)
	}
	_, _, err = h.Print(t.Context(), asks(luis()), []string{"unknown"})
	wantRefusal(t, err, policies.NotFound)
}
