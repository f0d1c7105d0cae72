package ceremony_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// kept is the database as ceremonies see it: cmd/rubrica has the same.
type kept struct {
	*store.DB

	url string
}

func (k kept) Record(ctx context.Context, r ceremony.Record, entries ...audit.Entry) error {
	c := store.Ceremony{Step: r.Step, Members: r.Members, Keeper: signer.KeeperName(r.Keeper), Retire: r.Retire, List: r.List}
	for _, s := range r.Secrets {
		c.Epochs = append(c.Epochs, store.Epoch{Kind: signer.Secret(s.Kind), Epoch: s.Epoch, CheckValue: s.CheckValue})
	}
	err := k.RecordCeremony(ctx, c, entries...)
	if errors.Is(err, store.ErrStepDone) {
		return ceremony.ErrStepDone
	}
	return err
}

func (k kept) Secrets(ctx context.Context) ([]ceremony.Secret, error) {
	epochs, err := k.KeyEpochs(ctx)
	var out []ceremony.Secret
	for _, e := range epochs {
		out = append(out, ceremony.Secret{Kind: string(e.Kind), Epoch: e.Epoch, Label: e.Kind.Label(e.Epoch), CheckValue: e.CheckValue})
	}
	return out, err
}

func (k kept) Alone(ctx context.Context) (func(), error) {
	conn, err := pgx.Connect(ctx, k.url)
	if err != nil {
		return nil, err
	}
	var locked bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(1)`).Scan(&locked)
	if err == nil && !locked {
		err = ceremony.ErrHeld
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return func() {
		ctx := context.WithoutCancel(ctx)
		_, err := conn.Exec(ctx, `SELECT pg_advisory_unlock(1)`)
		if err := errors.Join(err, conn.Close(ctx)); err != nil {
			panic(err)
		}
	}, nil
}

type secrets struct{ token *hsm.Token }

func (s secrets) Make(ctx context.Context) ([]ceremony.Secret, error) {
	var out []ceremony.Secret
	for _, secret := range signer.Secrets() {
		label, create := secret.Label(1), s.token.CreatePepper
		if secret == signer.KEK {
			create = s.token.CreateKEK
		}
		if err := create(ctx, label); err != nil && !errors.Is(err, hsm.ErrKeyExists) {
			return nil, err
		}
		check, err := s.token.CheckValue(ctx, label)
		if err != nil {
			return nil, err
		}
		out = append(out, ceremony.Secret{Kind: string(secret), Epoch: 1, Label: label, CheckValue: check})
	}
	return out, nil
}

// desk is a console without a person: it answers yes, but for one question.
type desk struct {
	mu    sync.Mutex
	lines []string
	asked int
	no    int // the question that is answered with no, from 1
}

func (d *desk) Say(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *desk) Confirm(context.Context, string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.asked != d.no, nil
}

func (d *desk) said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// house is a deployment of a test.
type house struct {
	*ceremony.House

	db            *store.DB
	owner         string
	service, root hsm.Config
	desk          *desk
	rootToken     *hsm.Token
	rootAsked     int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	database := pgtest.New(t, store.Migrate)
	db, err := store.Open(t.Context(), database.Signer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	h := &house{db: db, owner: database.Owner, service: hsmtest.Config(t), root: hsmtest.Config(t), desk: &desk{}}
	service := hsmtest.Open(t, h.service)
	h.rootToken = hsmtest.Open(t, h.root)
	h.House = &ceremony.House{
		Base: "http://ca.example", Organisation: "Ayuntamiento de Valdehierro", OrganisationIdentifier: "VATES-P2826000H",
		RootAlgorithm: "ec-p384", IssuingAlgorithm: "ec-p384", OCSPAlgorithm: "ec-p256", TSAAlgorithm: "ec-p256",
		RootYears: 20, IssuingYears: 10, RootListMonths: 13, Keeper: "sealed",
		Store: kept{db, database.Signer}, Console: h.desk, Service: service, Secrets: secrets{service},
		Root: func(context.Context) (ceremony.Token, error) {
			h.rootAsked++
			return h.rootToken, nil
		},
		RootKept: ca.RootToken, Lint: lint.Certificate, Now: time.Now,
	}
	return h
}

func (h *house) hierarchy(t *testing.T) ca.Hierarchy {
	t.Helper()
	hierarchy, err := h.db.Hierarchy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return hierarchy
}

func names(h ca.Hierarchy) string {
	var all []string
	for _, m := range h {
		all = append(all, m.Name)
	}
	return strings.Join(all, " ")
}

// keys counts the key objects of each label in a token, with an S for secret
// ones.
func keys(t *testing.T, config hsm.Config) map[string]int {
	t.Helper()
	module, session := hsmtest.Intruder(t, config)
	defer func() { _ = module.CloseSession(session) }()
	found := map[string]int{}
	for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_SECRET_KEY} {
		template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
		if err := module.FindObjectsInit(session, template); err != nil {
			t.Fatal(err)
		}
		objects, _, err := module.FindObjects(session, 100)
		if err != nil {
			t.Fatal(err)
		}
		if err := module.FindObjectsFinal(session); err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			value, err := module.GetAttributeValue(session, o, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil)})
			if err != nil {
				t.Fatal(err)
			}
			found[string(value[0].Value)]++
		}
	}
	return found
}

// events counts the log's entries by type and what they are about.
func (h *house) events(t *testing.T) map[string]int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `
		SELECT type || ' ' || coalesce(p->>'member', p->>'step', p->>'label', p->>'key', p->>'list', ''), count(*)
		FROM (SELECT type, convert_from(payload, 'UTF8')::jsonb AS p FROM log_entries) e
		GROUP BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var (
		what string
		n    int
	)
	if _, err := pgx.ForEachRow(rows, []any{&what, &n}, func() error { found[what] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// checkFirst demands what the first ceremony leaves, exactly once each, however
// often it was interrupted.
func (h *house) checkFirst(t *testing.T) {
	t.Helper()
	if got, want := names(h.hierarchy(t)), "root issuing-1 ocsp-1 tsa-1"; got != want {
		t.Errorf("got members %s, want %s", got, want)
	}
	want := map[string]int{
		"rubrica-issuing-1": 1, "rubrica-ocsp-1": 1, "rubrica-tsa-1": 1, "rubrica-checkpoint": 1,
		"rubrica-kek-1": 1, "rubrica-pepper-1": 1, "rubrica-seal-1": 1,
	}
	if got := keys(t, h.service); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got keys %v in the service's token, want %v", got, want)
	}
	if got := keys(t, h.root); fmt.Sprint(got) != "map[rubrica-root:1]" {
		t.Errorf("got keys %v in the root's token, want rubrica-root once", got)
	}
	events := h.events(t)
	for _, m := range []string{"root", "issuing-1", "ocsp-1", "tsa-1"} {
		if got := events["authority.issued "+m]; got != 1 {
			t.Errorf("got %d entries authority.issued of %s, want 1", got, m)
		}
		if got := events["authority.intent "+m]; got < 1 {
			t.Errorf("got no intent of %s", m)
		}
		if got := events["key.generated rubrica-"+m]; got != 1 {
			t.Errorf("got %d entries key.generated of %s, want 1", got, m)
		}
	}
	if got := events["key.generated rubrica-checkpoint"]; got != 1 {
		t.Errorf("got %d entries key.generated of rubrica-checkpoint, want 1", got)
	}
	for _, step := range []string{
		"secrets", "checkpoint-key", "root-key", "root", "issuing-1-key", "issuing-1", "root-crl", "ocsp-1-key", "ocsp-1", "tsa-1-key", "tsa-1",
	} {
		if got := events["key.ceremony init/"+step]; got != 1 {
			t.Errorf("got %d entries of the step %s, want 1", got, step)
		}
	}
	list, err := h.db.NewestList(t.Context(), "root")
	if err != nil || list.Number != 1 {
		t.Errorf("got list %d (%v), want number 1", list.Number, err)
	}
}
