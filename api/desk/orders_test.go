package desk_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

func changePhone() desk.Act {
	return desk.Act{Kind: citizen.ActChangePhone, CitizenID: "ana", Identifier: "12345678Z", Phone: "+34612345678", WithoutDocument: true}
}

// carla is a second supervisor of the same office.
func (h *house) carla(t *testing.T) desk.Officer {
	t.Helper()
	h.sql(t, `INSERT INTO officers (id, name, role, office, created_at) VALUES ('carla', 'Carla Pons', 'supervisor', 'central', now())`)
	return desk.Officer{ID: "carla", Name: "Carla Pons", Role: desk.RoleSupervisor, Office: "central", By: "passkey"}
}

func TestTwoOfficers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	_, err := h.Do(ctx, asks(rosa()), changePhone())
	wantRefusal(t, err, policies.SecondOfficerNeeded)

	order, err := h.Ask(ctx, asks(rosa()), changePhone())
	must(t, err)
	// She is a supervisor, and may not all the same; nor may who is none, nor
	// another office.
	_, err = h.Confirm(ctx, asks(rosa()), order.ID)
	wantRefusal(t, err, policies.SecondOfficerNeeded)
	_, err = h.Confirm(ctx, asks(luis()), order.ID)
	wantRefusal(t, err, policies.SecondOfficerNeeded)
	_, err = h.Confirm(ctx, asks(eva()), order.ID)
	wantRefusal(t, err, policies.NotFound)
	wantRefusal(t, h.Reject(ctx, asks(luis()), order.ID), policies.RoleMissing)
	if len(h.performed) > 0 {
		t.Fatalf("got %v carried out, want nothing", h.performed)
	}

	carla := h.carla(t)
	confirmed, err := h.Confirm(ctx, asks(carla), order.ID)
	must(t, err)
	if confirmed.State != citizen.OrderConfirmed || confirmed.Outcome["12345678Z"] != citizen.Done || len(confirmed.Missing()) > 0 {
		t.Errorf("got %+v, want it done", confirmed)
	}
	if len(h.performed) != 1 {
		t.Fatalf("got %d carried out, want 1", len(h.performed))
	}
	if s := h.performed[0]; s.Officer != "Rosa Gil (rosa)" || s.Second != "Carla Pons (carla)" || !s.WithoutDocument || s.Phone.String() != "+34612345678" {
		t.Errorf("got %+v, want both officers in the statement", s)
	}
	_, err = h.Confirm(ctx, asks(carla), order.ID)
	wantRefusal(t, err, policies.DeskTaken)
	read, err := h.Order(ctx, asks(luis()), order.ID)
	must(t, err)
	if read.DecidedName != "Carla Pons" || read.Outcome["12345678Z"] != citizen.Done || read.Reason != reason {
		t.Errorf("got %+v, want what was decided", read)
	}
	for kind, want := range map[audit.EventType]string{audit.DeskOrdered: `"act":"change_phone"`, audit.DeskDecided: `"decision":"confirmed"`, audit.DeskActed: `"confirmed_by":"carla"`} {
		if _, payloads := h.logged(t, kind); len(payloads) != 1 || !strings.Contains(payloads[0], want) || strings.Contains(payloads[0], "612345678") {
			t.Errorf("%s: got %v, want one with %s and without the number", kind, payloads, want)
		}
	}
}

// The table itself forbids what the service does.
func TestTheTableWantsTwoOfficers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	order, err := h.Ask(t.Context(), asks(rosa()), changePhone())
	must(t, err)
	conn, err := pgx.Connect(t.Context(), h.urls.Registrar)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), `UPDATE desk_orders SET state = 'confirmed', decided_by = asked_by, decided_at = now() WHERE id = $1`, order.ID)
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.ConstraintName != "desk_orders_second" {
		t.Errorf("got %v, want the violation of desk_orders_second", err)
	}
	turn := citizen.Turn{Subject: order.ID, Holder: "rosa", Now: h.clock(), Until: h.clock().Add(time.Minute)}
	must(t, h.Store.TakeOrder(t.Context(), turn))
	order.State, order.DecidedBy, order.DecidedAt = citizen.OrderConfirmed, "rosa", h.clock()
	wantRefusal(t, h.Store.Decide(t.Context(), turn, order), policies.SecondOfficerNeeded)
	turn.Holder = "somebody else"
	order.DecidedBy = "luis"
	wantRefusal(t, h.Store.Decide(t.Context(), turn, order), policies.DeskTaken)
	wantRefusal(t, h.Store.Conclude(t.Context(), turn, "12345678Z", citizen.Done), policies.DeskTaken)
}

func TestOrdersEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, carla := t.Context(), h.carla(t)
	expired, err := h.Ask(ctx, asks(rosa()), changePhone())
	must(t, err)
	h.pass(desk.DefaultLimits().OrderLife)
	_, err = h.Confirm(ctx, asks(carla), expired.ID)
	wantRefusal(t, err, policies.DeskTaken)

	withdrawn, err := h.Ask(ctx, asks(luis()), changePhone())
	must(t, err)
	must(t, h.Reject(ctx, asks(luis()), withdrawn.ID))
	_, err = h.Confirm(ctx, asks(carla), withdrawn.ID)
	wantRefusal(t, err, policies.DeskTaken)
	wantRefusal(t, h.Reject(ctx, asks(carla), withdrawn.ID), policies.DeskTaken)

	orders, err := h.Orders(ctx, asks(luis()))
	must(t, err)
	if len(orders) != 1 || orders[0].ID != withdrawn.ID || orders[0].State != citizen.OrderRejected {
		t.Errorf("got %+v, want the withdrawn one alone: the other has expired", orders)
	}
	if len(h.performed) > 0 {
		t.Errorf("got %v carried out, want nothing", h.performed)
	}
}

// together does the same several times at once, and returns how many succeeded;
// the others find it taken.
func together(t *testing.T, n int, do func(i int) error) (succeeded int) {
	t.Helper()
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() { errs[i] = do(i) })
	}
	wait.Wait()
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else {
			wantRefusal(t, err, policies.DeskTaken)
		}
	}
	return succeeded
}

// Whoever confirms at once, and whoever comes while an order is being carried
// out: it is done once, and decided once.
func TestOfSeveralConfirmationsOneCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	carla := h.carla(t)
	list := []string{"12345678Z", "X1234567L", "00000014Z"}
	order, err := h.Ask(t.Context(), asks(luis()), desk.Act{Kind: citizen.ActMassRevocation, CRLWord: "key_compromise"}, list...)
	must(t, err)
	h.answers = func(citizen.Statement) error { time.Sleep(20 * time.Millisecond); return nil }
	succeeded := together(t, 8, func(i int) error {
		_, err := h.Confirm(t.Context(), asks([]desk.Officer{rosa(), carla}[i%2]), order.ID)
		return err
	})
	var done []string
	for _, s := range h.performed {
		done = append(done, s.Identifier.String())
	}
	if succeeded != 1 || !slices.Equal(done, list) {
		t.Errorf("got %d confirmations that carried out %v, want one of %v", succeeded, done, list)
	}
	if _, decided := h.logged(t, audit.DeskDecided); len(decided) != 1 {
		t.Errorf("got %v, want one decision in the log", decided)
	}
	read, err := h.Order(t.Context(), asks(luis()), order.ID)
	must(t, err)
	if read.State != citizen.OrderConfirmed || len(read.Missing()) > 0 {
		t.Errorf("got %+v, want it confirmed and done", read)
	}
}

func TestMassRevocation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	list := []string{"12345678Z", "X1234567L", "00000014Z"}
	order, err := h.Ask(ctx, asks(luis()), desk.Act{Kind: citizen.ActMassRevocation, CRLWord: "key_compromise"}, list...)
	must(t, err)
	// One is refused; at the last the signer is away, and nobody knows.
	away := errors.New("the signer is away")
	h.answers = func(s citizen.Statement) error {
		switch s.Identifier.String() {
		case "X1234567L":
			return policies.Refuse(policies.CredentialMissing)
		case "00000014Z":
			return away
		}
		return nil
	}
	if _, err = h.Confirm(ctx, asks(rosa()), order.ID); !errors.Is(err, away) {
		t.Fatalf("got %v, want that the signer is away", err)
	}
	read, err := h.Order(ctx, asks(rosa()), order.ID)
	must(t, err)
	want := map[string]string{"12345678Z": citizen.Done, "X1234567L": string(policies.CredentialMissing)}
	if diff := cmp.Diff(want, read.Outcome); diff != "" || !slices.Equal(read.Missing(), list[2:]) {
		t.Errorf("outcome (-want +got):\n%s, missing %v", diff, read.Missing())
	}
	_, err = h.Confirm(ctx, asks(luis()), order.ID)
	wantRefusal(t, err, policies.SecondOfficerNeeded)
	// The signer may be at it still. What is left then can be gone on with, and
	// only that.
	h.answers = func(citizen.Statement) error { return nil }
	_, err = h.Confirm(ctx, asks(rosa()), order.ID)
	wantRefusal(t, err, policies.DeskTaken)
	h.pass(desk.DefaultLimits().Turn)
	done, err := h.Confirm(ctx, asks(rosa()), order.ID)
	must(t, err)
	if len(done.Missing()) > 0 || len(h.performed) != 2 {
		t.Fatalf("got %v left and %d carried out, want none and 2", done.Missing(), len(h.performed))
	}
	for _, s := range h.performed {
		if s.Kind != citizen.ActRevoke || s.CRLReason != citizen.KeyCompromise || s.Second != "Rosa Gil (rosa)" || s.Officer != "Luis Vega (luis)" {
			t.Errorf("got %+v, want a revocation by both officers", s)
		}
	}
	_, err = h.Ask(ctx, asks(luis()), desk.Act{Kind: citizen.ActBlock, Identifier: "12345678Z"})
	wantRefusal(t, err, policies.RequestMalformed)
}
