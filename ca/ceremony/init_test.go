package ceremony_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/store"
)

func TestInit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.checkFirst(t)
	if got := h.hierarchy(t)[0].Token; got != ca.RootToken {
		t.Errorf("got the root's key in the %s token, want the root's", got)
	}
	said := h.desk.said()
	for _, want := range []string{"[1/11] init/secrets", "rubrica-seal-1: check value ", "[11/11] init/tsa-1", "rubrica-root: made, ec-p384, in the root token"} {
		if !strings.Contains(said, want) {
			t.Errorf("got %q, want it to say %q", said, want)
		}
	}

	asked, questions := h.rootAsked, h.desk.asked
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.checkFirst(t)
	if h.rootAsked != asked || h.desk.asked != questions {
		t.Error("got the root's token or a person asked for again, want nothing done the second time")
	}
}

func TestInitStoppedByHand(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.desk.no = 6
	if err := h.Init(t.Context()); !errors.Is(err, ceremony.ErrStopped) {
		t.Fatalf("got %v, want ErrStopped", err)
	}
	if got := names(h.hierarchy(t)); got != "root" {
		t.Errorf("got members %q, want the root alone", got)
	}
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.checkFirst(t)
}

// errCrash is where a process would have died.
var errCrash = errors.New("crash")

// crash counts what leaves a trace, and dies at one of them: before it, or when
// it has been done and nobody knows yet.
type crash struct {
	at, seen int
	after    bool
}

func (c *crash) around(do func() error) error {
	c.seen++
	if c.seen > c.at { // dead
		return errCrash
	}
	if c.seen < c.at {
		return do()
	}
	if c.after {
		_ = do()
	}
	return errCrash
}

type crashingToken struct {
	ceremony.Token

	*crash
}

func (c crashingToken) CreateServiceKey(ctx context.Context, label, algorithm string) (key crypto.Signer, err error) {
	err = c.around(func() error {
		key, err = c.Token.CreateServiceKey(ctx, label, algorithm)
		return err
	})
	return key, err
}

type crashingStore struct {
	ceremony.Store

	*crash
}

func (c crashingStore) Record(ctx context.Context, r ceremony.Record, entries ...audit.Entry) error {
	return c.around(func() error { return c.Store.Record(ctx, r, entries...) })
}

func (c crashingStore) Log(ctx context.Context, entries ...audit.Entry) error {
	return c.around(func() error { return c.Store.Log(ctx, entries...) })
}

type crashingSecrets struct {
	ceremony.Secrets

	*crash
}

func (c crashingSecrets) Make(ctx context.Context) (made []ceremony.Secret, err error) {
	err = c.around(func() error {
		made, err = c.Secrets.Make(ctx)
		return err
	})
	return made, err
}

// crashing is the house with a crash in it.
func (h *house) crashing(c *crash) *ceremony.House {
	copied := *h.House
	copied.Store, copied.Service, copied.Secrets = crashingStore{h.Store, c}, crashingToken{h.Service, c}, crashingSecrets{h.Secrets, c}
	copied.Root = func(ctx context.Context) (ceremony.Token, error) {
		token, err := h.Root(ctx)
		return crashingToken{token, c}, err
	}
	return &copied
}

// traces is what the first ceremony leaves, in order: the secret keys, six key
// pairs but one that is none, eleven records, four intents.
const traces = 1 + 5 + 11 + 4

// TestInitInterrupted dies at each thing that leaves a trace, before and after
// it, and goes on.
func TestInitInterrupted(t *testing.T) {
	t.Parallel()
	for at := range traces {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%v", at+1, after), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t)
				c := &crash{at: at + 1, after: after}
				if err := h.crashing(c).Init(t.Context()); !errors.Is(err, errCrash) {
					t.Fatalf("got %v, want a crash", err)
				}
				if err := h.Init(t.Context()); err != nil {
					t.Fatal(err)
				}
				h.checkFirst(t)
			})
		}
	}
}

// TestTraces keeps the number above honest.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := &crash{at: traces + 1}
	if err := newHouse(t).crashing(c).Init(t.Context()); err != nil || c.seen != traces {
		t.Errorf("got %d traces (%v), want %d", c.seen, err, traces)
	}
}

// TestInitTwiceAtOnce lets several people begin at the same time.
func TestInitTwiceAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if err := h.Init(t.Context()); err != nil && !errors.Is(err, ceremony.ErrHeld) {
				t.Errorf("got %v, want nil or ErrHeld", err)
			}
		})
	}
	wait.Wait()
	h.checkFirst(t)
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	errAbsent := errors.New("the root's token is needed: --root-pin-file")
	for name, test := range map[string]struct {
		obstacle func(t *testing.T, h *house)
		want     error
		says     string
		members  string
	}{
		"no root token": {
			func(_ *testing.T, h *house) {
				h.Root = func(context.Context) (ceremony.Token, error) { return nil, errAbsent }
			}, errAbsent, "init/root-key", "",
		},
		"key of another algorithm": {
			func(t *testing.T, h *house) {
				t.Helper()
				if _, err := h.rootToken.CreateServiceKey(t.Context(), "rubrica-root", "ec-p256"); err != nil {
					t.Fatal(err)
				}
			}, ceremony.ErrOtherKey, "which is ec-p256 and not ec-p384", "",
		},
		"a token without Ed25519": {
			func(t *testing.T, h *house) {
				t.Helper()
				config, faults := hsmtest.Shim(t, h.service)
				faults.TakeAway("C_GenerateKeyPair", 0x1055) // CKM_EC_EDWARDS_KEY_PAIR_GEN
				h.Service = hsmtest.Open(t, config)
			}, ceremony.ErrUnable, "init/checkpoint-key: making rubrica-checkpoint, ed25519", "",
		},
		"long organisation": {
			func(_ *testing.T, h *house) { h.Organisation = strings.Repeat("Mancomunidad ", 5) }, nil, "--organisation is too long", "",
		},
		"another root token later": {
			func(t *testing.T, h *house) {
				t.Helper()
				h.desk.no = 6
				if err := h.Init(t.Context()); !errors.Is(err, ceremony.ErrStopped) {
					t.Fatal(err)
				}
				other := hsmtest.New(t)
				if _, err := other.CreateServiceKey(t.Context(), "rubrica-root", "ec-p384"); err != nil {
					t.Fatal(err)
				}
				h.rootToken = other
			}, ceremony.ErrOtherKey, "--root-token-label", "root",
		},
		"an empty root token later": {
			func(t *testing.T, h *house) {
				t.Helper()
				h.desk.no = 6
				if err := h.Init(t.Context()); !errors.Is(err, ceremony.ErrStopped) {
					t.Fatal(err)
				}
				h.rootToken = hsmtest.New(t)
			}, nil, "--root-token-label", "root",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			test.obstacle(t, h)
			err := h.Init(t.Context())
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %v that says %q", err, test.want, test.says)
			}
			if got := names(h.hierarchy(t)); got != test.members {
				t.Errorf("got members %q, want %q", got, test.members)
			}
		})
	}
}

// TestInitOfOld gives a deployment of the version before what it lacks: its root
// is in the service's token, and its keys are named otherwise.
func TestInitOfOld(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Root = func(context.Context) (ceremony.Token, error) { return nil, errors.New("there is none") }
	h.old(t)
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := names(h.hierarchy(t)), "issuing-1 root ocsp-1 tsa-1"; got != want {
		t.Errorf("got members %s, want %s", got, want)
	}
	if got := keys(t, h.service); got["rubrica-root"] != 1 || got["rubrica-issuing"] != 1 || got["rubrica-issuing-1"] != 0 || got["rubrica-ocsp-1"] != 1 ||
		got["rubrica-log"] != 1 || got["rubrica-checkpoint"] != 1 {
		t.Errorf("got keys %v, want those of old and the services'", got)
	}
	if !strings.Contains(h.desk.said(), ceremony.RootOnline) {
		t.Error("got nothing said about the root's key, want where it is")
	}
	if !strings.Contains(h.desk.said(), ceremony.LogKeyUnused) {
		t.Error("got nothing said about rubrica-log, want that it is unused")
	}
	report, err := ceremony.Inspection{Hierarchy: h.hierarchy(t), Service: h.Service, CitizenYears: 4, Now: time.Now()}.Inspect(t.Context())
	if err != nil || !slices.Contains(report.Notes, ceremony.LogKeyUnused) || len(report.Problems) > 0 {
		t.Errorf("got notes %q and problems %q (%v), want that rubrica-log is unused, and no problem", report.Notes, report.Problems, err)
	}
}

// TestInitWithoutCheckpointKey goes on over a deployment that held the whole
// first ceremony when the log's key was another one.
func TestInitWithoutCheckpointKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.forgetful(t)
	before := h.events(t)
	questions := h.desk.asked
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := h.events(t)
	for _, what := range []string{"key.ceremony init/checkpoint-key", "key.generated rubrica-checkpoint"} {
		if before[what] != 0 || after[what] != 1 {
			t.Errorf("%s: got %d entries before and %d after, want 0 and 1", what, before[what], after[what])
		}
	}
	if got := h.desk.asked - questions; got != 1 {
		t.Errorf("got %d questions, want the one of the step that was lacking", got)
	}
	if got := keys(t, h.service); got["rubrica-log"] != 1 || got["rubrica-checkpoint"] != 1 {
		t.Errorf("got keys %v, want the former one left in peace beside the new", got)
	}
}

// forgetful holds the first ceremony as the version before did: with a step
// log-key, and no checkpoint-key.
func (h *house) forgetful(t *testing.T) {
	t.Helper()
	past := *h.House
	past.Store = renaming{h.Store}
	past.Service = formerToken{h.Service}
	if err := past.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// renaming records the new step under the name of the former.
type renaming struct{ ceremony.Store }

func (r renaming) Record(ctx context.Context, record ceremony.Record, entries ...audit.Entry) error {
	if record.Step == "init/checkpoint-key" {
		record.Step = "init/log-key"
		entries = []audit.Entry{{
			Type: audit.KeyCeremony, Operation: entries[0].Operation, At: entries[0].At,
			Payload: map[string]any{"step": record.Step},
		}}
	}
	return r.Store.Record(ctx, record, entries...)
}

// formerToken makes rubrica-log where the new key is asked for, and answers with
// a key of memory.
type formerToken struct{ ceremony.Token }

func (f formerToken) CreateServiceKey(ctx context.Context, label, algorithm string) (crypto.Signer, error) {
	if label != ceremony.CheckpointKey {
		return f.Token.CreateServiceKey(ctx, label, algorithm)
	}
	if _, err := f.Token.CreateServiceKey(ctx, "rubrica-log", "ec-p256"); err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func (h *house) old(t *testing.T) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	name := func(s string) ca.Name {
		return ca.Name{Country: "ES", Organisation: "Rúbrica", CommonName: "Rúbrica " + s}
	}
	root, err := h.Service.CreateServiceKey(t.Context(), "rubrica-root", "ec-p384")
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := h.Service.CreateServiceKey(t.Context(), "rubrica-issuing", "ec-p384")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Service.CreateServiceKey(t.Context(), "rubrica-log", "ec-p256"); err != nil {
		t.Fatal(err)
	}
	top, err := ca.CreateRoot(ca.Root{Name: name("CA Raíz"), NotBefore: now, NotAfter: now.AddDate(20, 0, 0)}, root, lint.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	below, err := ca.CreateIssuing(ca.Issuing{
		Name: name("CA Ciudadanos"), PublicKey: issuing.Public(), NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
		Addresses: ca.Addresses{Issuer: "http://ca.example/ca/root.cer"}, CRL: "http://ca.example/ca/root.crl",
	}, top, root, lint.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	err = h.db.RecordCeremony(t.Context(), store.Ceremony{Step: "ceremony-1", Members: []ca.Member{
		{Name: "root", Role: ca.RoleRoot, Generation: 1, KeyLabel: "rubrica-root", Token: ca.ServiceToken, Issuer: "root", DER: top.Raw},
		{Name: "issuing-1", Role: ca.RoleIssuing, Generation: 1, KeyLabel: "rubrica-issuing", Token: ca.ServiceToken, Issuer: "root", DER: below.Raw},
	}}, audit.Entry{Type: audit.KeyCeremony, Operation: "ceremony-1", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
}
