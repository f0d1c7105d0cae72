package signer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/catest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/invariants"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// TestMain keeps the property test short unless the command line asks for
// more: each of its steps is several transactions.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "12", "rapid.steps": "15"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(pgtest.Main(m))
}

// clock is set by the test: the ceremony's limits are minutes.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// phone is the far end of the SMS: it reads codes as a citizen would.
type phone struct {
	mu       sync.Mutex
	sent     []signer.CodeMessage
	reminded []signer.ReminderMessage
	told     []signer.NoticeMessage
	dead     bool
}

func (p *phone) SendCode(_ context.Context, m signer.CodeMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errors.New("operator does not answer")
	}
	p.sent = append(p.sent, m)
	return nil
}

func (p *phone) Remind(_ context.Context, m signer.ReminderMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errors.New("operator does not answer")
	}
	p.reminded = append(p.reminded, m)
	return nil
}

func (p *phone) Tell(_ context.Context, m signer.NoticeMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errors.New("operator does not answer")
	}
	p.told = append(p.told, m)
	return nil
}

func (p *phone) last() signer.CodeMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[len(p.sent)-1]
}

const password = "Canario-7-amarillo" // searched for in the database after each step

// spine is the whole signer on a real database and a real token.
type spine struct {
	*testing.T
	database  pgtest.Database
	db        *store.DB
	owner     *pgxpool.Pool // somebody with psql
	public    store.Public
	token     *hsm.Token
	vault     *signer.Vault
	module    *signer.Service
	people    signer.People
	keys      *watchedKeys // the token, as vault and module see it
	journal   *journal     // what the module writes for operators
	register  *citizen.Service
	clock     *clock
	phone     *phone
	app       signer.Client
	authority catest.Authority
	checker   invariants.Checker
	requests  int
	start     time.Time
}

// overBoth runs a test over each of the two keepers: what a citizen and a thief
// can do must not depend on where the key is.
func overBoth(t *testing.T, test func(s *spine)) {
	t.Helper()
	for _, keeper := range []signer.KeeperName{signer.SealedKeeper, signer.TokenKeeper} {
		t.Run(string(keeper), func(t *testing.T) {
			t.Parallel()
			test(newSpine(t, keeper))
		})
	}
}

// overEither runs a test with one of the keepers, some tests with one and some
// with the other: what it tries has nothing to do with where keys are kept.
// KEEPERS=both runs it with both.
func overEither(t *testing.T, test func(s *spine)) {
	t.Helper()
	if os.Getenv("KEEPERS") == "both" {
		overBoth(t, test)
		return
	}
	test(newSpine(t, []signer.KeeperName{signer.SealedKeeper, signer.TokenKeeper}[len(t.Name())%2]))
}

func newSpine(t *testing.T, keeper signer.KeeperName) *spine {
	t.Helper()
	ctx := t.Context()
	s := &spine{
		T: t, database: pgtest.New(t, store.Migrate), token: hsmtest.New(t),
		clock: &clock{now: time.Now().UTC().Truncate(time.Second)}, phone: &phone{}, journal: &journal{},
	}
	s.owner = must[*pgxpool.Pool](t)(pgxpool.New(ctx, s.database.Owner))
	t.Cleanup(s.owner.Close)
	s.keys = &watchedKeys{Keys: s.token}
	s.db = open(t, s.database.Signer)
	s.db.Now = s.clock.Now
	api := open(t, s.database.API)
	api.Now = s.clock.Now
	s.public = store.ForPublic(api)

	for _, secret := range signer.Secrets() {
		s.begin(secret, 1)
	}
	if err := s.db.SetKeeper(ctx, keeper, keeperChanged(keeper, s.clock.Now())); err != nil {
		t.Fatalf("choosing a keeper: %v", err)
	}
	epochs := must[signer.Epochs](t)(s.db.Epochs(ctx))
	s.vault = signer.NewVault(signer.VaultConfig{
		Keys: s.keys, Epochs: epochs, Parallel: 2, Queue: 64,
		Cost: signer.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1}, // what a guess costs is not what this tests
	})
	s.authority = catest.Found(t, s.db, s.token, s.clock.Now)
	s.module = signer.New(signer.Config{
		Store: s.db, Keys: s.keys, Vault: s.vault, Issuer: s.authority, Courier: s.phone,
		Rules: policies.DefaultRules(), Limits: signer.DefaultLimits(), KeyAlgorithm: "ec-p256",
		Now: s.clock.Now, Logger: s.journal.logger(),
	})
	s.people = signer.People{Rows: s.db, Vault: s.vault, Now: s.clock.Now, Logger: s.journal.logger()}
	s.register = citizen.New(citizen.Config{
		Store: s.db, People: s.people, Codes: s.module, Vault: s.vault, Limits: citizen.DefaultLimits(), Now: s.clock.Now,
	})
	s.app = signer.Client{
		ID: "app", Name: "Sede", Organisation: "Ayuntamiento de Valdehierro",
		SecretHash: make([]byte, 32), Scopes: []string{"signature"}, ReturnAddresses: []string{"https://sede.example/vuelta"},
	}
	if err := s.db.AddApplication(ctx, s.app, s.clock.Now()); err != nil {
		t.Fatalf("adding an application: %v", err)
	}
	s.start = s.clock.Now()
	s.checker = invariants.Checker{
		Database: s.database.Owner, Snapshot: s.db.Snapshot, Secrets: []string{password}, Elsewhere: s.journal.text,
	}
	t.Cleanup(s.checker.Close)
	return s
}

// begin makes a secret key of the token and its epoch.
func (s *spine) begin(secret signer.Secret, epoch int) {
	s.Helper()
	create := s.token.CreatePepper
	if secret == signer.KEK {
		create = s.token.CreateKEK
	}
	if err := create(s.Context(), secret.Label(epoch)); err != nil {
		s.Fatalf("creating %s: %v", secret.Label(epoch), err)
	}
	value := must[[]byte](s.T)(s.token.CheckValue(s.Context(), secret.Label(epoch)))
	err := s.db.BeginEpoch(s.Context(), store.Epoch{Kind: secret, Epoch: epoch, CheckValue: value},
		audit.Entry{
			Type: audit.KeyEpochBegun, Operation: "test", At: s.clock.Now(), Payload: map[string]any{"key": secret.Label(epoch), "check_value": fmt.Sprintf("%x", value)},
		})
	if err != nil {
		s.Fatalf("recording %s: %v", secret.Label(epoch), err)
	}
}

// revocations is what the list of this year has.
func (s *spine) revocations() []ca.RevokedCertificate {
	s.Helper()
	shard := must[string](s.T)(s.db.Shard(s.Context(), "issuing-1", s.start))
	return must[[]ca.RevokedCertificate](s.T)(s.db.Revocations(s.Context(), shard, s.clock.Now()))
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// must stops the test at an error; each of these steps is checked elsewhere.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected: %v", err)
		}
		return v
	}
}

// wants checks that an error is the refusal.
func (s *spine) wants(err error, code policies.Code) {
	s.Helper()
	if !errors.Is(err, policies.Refuse(code)) {
		s.Fatalf("got %v, want %s", err, code)
	}
	s.invariants()
}

func (s *spine) person(dni, mobile string) citizen.Application {
	s.Helper()
	return citizen.Application{
		Identifier: must[citizen.Identifier](s.T)(citizen.ParseIdentifier(dni)),
		Name:       must[citizen.Name](s.T)(citizen.ParseName("Ana", "Núñez Pérez")),
		Phone:      must[citizen.Phone](s.T)(citizen.ParsePhone(mobile)),
		Email:      must[citizen.Email](s.T)(citizen.ParseEmail("ana@example.es")),
		Locale:     "es", Office: "Oficina 1", Officer: "office", DocumentUntil: s.clock.Now().AddDate(3, 0, 0),
	}
}

// activate takes a citizen from the office to a password.
func (s *spine) activate(dni, mobile string) {
	s.Helper()
	a := s.person(dni, mobile)
	receipt := must[citizen.Receipt](s.T)(s.register.Register(s.Context(), a))
	s.enter(a, receipt.ActivationCode, password)
}

func (s *spine) enter(a citizen.Application, code citizen.ActivationCode, password string) {
	s.Helper()
	s.checker.Secrets = append(s.checker.Secrets, code.Reveal(), code.Print())
	session, _, err := s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: code, RemoteAddr: home})
	if err != nil {
		s.Fatalf("starting an activation: %v", err)
	}
	if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
		s.Fatalf("confirming an activation: %v", err)
	}
	p := must[citizen.Password](s.T)(citizen.ParsePassword([]byte(password)))
	if err := s.register.SetPassword(s.Context(), session.Ticket, p); err != nil {
		s.Fatalf("setting a password: %v", err)
	}
	s.invariants()
}

// ask stores and opens a request for a citizen.
func (s *spine) ask(dni string, contents ...string) string {
	s.Helper()
	s.requests++
	now := s.clock.Now()
	n := signer.NewRequest{
		Request: signer.Request{
			ID: fmt.Sprintf("request-%d", s.requests), Application: s.app.Application, Identifier: dni, Title: "Solicitud", Locale: "es",
			ReturnURL: s.app.ReturnAddresses[0], CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour),
		},
		IdempotencyKey: fmt.Sprint(s.requests), BodyHash: []byte{1},
	}
	for i, content := range contents {
		sum := sha256.Sum256([]byte(content))
		n.Request.Documents = append(n.Request.Documents, signer.Document{
			Ordinal: i + 1, Name: "nota.txt", MediaType: "text/plain", Format: signer.CAdESDetached, Size: int64(len(content)), SHA256: sum[:],
		})
		n.Contents = append(n.Contents, signer.HeldContent([]byte(content)))
	}
	if _, _, err := s.public.AddRequest(s.Context(), n); err != nil {
		s.Fatalf("storing a request: %v", err)
	}
	if err := s.module.Open(s.Context(), n.Request.ID); err != nil {
		s.Fatalf("opening a request: %v", err)
	}
	return n.Request.ID
}

// home is where citizens activate, and elsewhere where they have never been.
const (
	home      = "192.0.2.1"
	elsewhere = "203.0.113.7"
)

func (s *spine) identify(request, dni, password string) (signer.Session, error) {
	return s.identifyFrom(home, request, dni, password)
}

func (s *spine) identifyFrom(address, request, dni, password string) (signer.Session, error) {
	return s.module.Identify(s.Context(), signer.Identification{RequestID: request, Identifier: dni, Password: []byte(password), RemoteAddr: address})
}

// certify brings a fresh citizen a certificate within a request.
func (s *spine) certify(session signer.Session) signer.Session {
	s.Helper()
	s.send(session, signer.ForCertificate)
	next := must[signer.Session](s.T)(s.module.IssueCredential(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}))
	s.invariants()
	return next
}

func (s *spine) send(session signer.Session, purpose signer.Purpose) {
	s.Helper()
	s.deliver(session, purpose)
	s.invariants()
}

func (s *spine) deliver(session signer.Session, purpose signer.Purpose) {
	s.Helper()
	_ = must[signer.Challenge](s.T)(s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose}))
	s.checker.Secrets = append(s.checker.Secrets, s.phone.last().Code.Reveal())
}

// fix settles the documents for a session as the public side does.
func (s *spine) fix(request string, session signer.Session) {
	s.Helper()
	r := must[signer.Request](s.T)(s.public.Request(s.Context(), request))
	fixed := make([]signer.Fixed, len(r.Documents))
	for i, d := range r.Documents {
		fixed[i] = signer.Fixed{Ordinal: d.Ordinal, SigningTime: s.clock.Now(), Hash: signer.SHA256, Digest: d.SHA256}
	}
	if err := s.public.FixDocuments(s.Context(), request, session.Ticket.Hash(), fixed); err != nil {
		s.Fatalf("fixing documents: %v", err)
	}
}

// ready is a session with the code sent, one answer before the signature.
func (s *spine) ready(dni string, contents ...string) (string, signer.Session) {
	s.Helper()
	request := s.ask(dni, contents...)
	session := must[signer.Session](s.T)(s.identify(request, dni, password))
	if !session.Certified {
		session = s.certify(session)
	}
	s.fix(request, session)
	s.send(session, signer.ForSignature)
	return request, session
}

func (s *spine) sign(session signer.Session) error {
	return s.answer(session, s.phone.last().Code)
}

// answer authorises with a code and spends the authorisation at once.
func (s *spine) answer(session signer.Session, code signer.Code) error {
	a, err := s.module.Authorise(s.Context(), signer.Answer{Ticket: session.Ticket, Code: code})
	if err != nil {
		return err
	}
	return s.module.Sign(s.Context(), a.SAD)
}

func (s *spine) state(request string) signer.State {
	s.Helper()
	return must[signer.Request](s.T)(s.public.Request(s.Context(), request)).State
}

// invariants re-verifies what must hold after every step.
func (s *spine) invariants() {
	s.Helper()
	if err := s.checker.Check(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// logged counts entries of a type about an operation.
func (s *spine) logged(kind, operation string) int {
	s.Helper()
	var n int
	err := s.owner.QueryRow(s.Context(), `SELECT count(*) FROM log_entries WHERE type = $1 AND operation = $2`, kind, operation).Scan(&n)
	if err != nil {
		s.Fatalf("reading the log: %v", err)
	}
	return n
}

// rows counts a table's rows.
func (s *spine) rows(table string) int {
	s.Helper()
	var n int
	if err := s.owner.QueryRow(s.Context(), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n); err != nil {
		s.Fatalf("counting %s: %v", table, err)
	}
	return n
}

// sql runs a statement as the database's owner, as somebody with psql might.
func (s *spine) sql(statement string, args ...any) {
	s.Helper()
	if _, err := s.owner.Exec(s.Context(), statement, args...); err != nil {
		s.Fatalf("running %s: %v", strings.TrimSpace(statement), err)
	}
}

// age makes Ana's registration older than it is, sealed as if it had always been.
func (s *spine) age(by time.Duration) {
	s.Helper()
	s.sql(`
		UPDATE registrations SET assured_at = assured_at - $2::interval
		WHERE citizen_id = (SELECT id FROM citizens WHERE identifier = $1)`, ana, by)
	c, k, err := s.db.CitizenByIdentifier(s.Context(), ana)
	if err != nil {
		s.Fatalf("reading a citizen: %v", err)
	}
	change := must[signer.Change](s.T)(s.people.Change(s.Context(), c, k))
	if err := s.db.SealRecord(s.Context(), change); err != nil {
		s.Fatalf("sealing a citizen: %v", err)
	}
}

// dieAfterIntent signs up to the intent and no further: what remains is what a
// killed process leaves.
func (s *spine) dieAfterIntent(session signer.Session) {
	s.Helper()
	s.dieAt("sign/intended", func(module *signer.Service) {
		a, err := module.Authorise(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code})
		if err == nil {
			_ = module.Sign(s.Context(), a.SAD)
		}
	})
}

// dieAt ends a goroutine in the middle of a ceremony, without running what the
// process would have run next.
func (s *spine) dieAt(step string, run func(*signer.Service)) {
	config := s.module.Config
	config.Step = func(name string) {
		if name == step {
			runtime.Goexit()
		}
	}
	module := signer.New(config)
	died := make(chan struct{})
	go func() {
		defer close(died)
		run(module)
	}()
	<-died
}
