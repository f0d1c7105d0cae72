package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/ca/online"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// town is a database with the whole signer over it, in this process: what it is
// made of is real, but that passwords may cost less, that a key is made once for
// all its citizens, and that codes are read where they are sent.
type town struct {
	*server

	name     string
	db       *store.DB
	api      *store.DB
	public   store.Public
	module   *signer.Service
	register *citizen.Service
	phone    *phone
	app      signer.Client
	people   int // that were ever given a number
}

// cheap is a password that costs next to nothing, where it is not what is
// measured.
func cheap() signer.Cost { return signer.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1} }

// found makes a town; cost is what its citizens' passwords cost.
func (s *server) found(ctx context.Context, name string, cost signer.Cost) (*town, error) {
	if err := s.prepare(ctx, name); err != nil {
		return nil, err
	}
	t := &town{
		server: s, name: name, phone: &phone{codes: map[string]signer.Code{}},
		app: signer.Client{
			ID: "app", Name: "Sede", Organisation: "Ayuntamiento", SecretHash: make([]byte, 32),
			Scopes: []string{"signature"}, ReturnAddresses: []string{"https://sede.example/vuelta"},
		},
	}
	if err := t.open(ctx, cost); err != nil {
		t.abandon()
		return nil, err
	}
	return t, nil
}

func (t *town) open(ctx context.Context, cost signer.Cost) (err error) {
	if t.db, err = store.Open(ctx, t.url("rubrica_signer", t.name)); err != nil {
		return err
	}
	if t.api, err = store.Open(ctx, t.url("rubrica_api", t.name)); err != nil {
		return err
	}
	t.public = store.ForPublic(t.api)
	if err := t.db.AddApplication(ctx, t.app, time.Now()); err != nil {
		return fmt.Errorf("adding an application: %w", err)
	}
	return t.settle(ctx, cost)
}

// abandon closes what a town has open.
func (t *town) abandon() {
	for _, db := range []*store.DB{t.db, t.api} {
		if db != nil {
			db.Close()
		}
	}
}

// settle puts a module with passwords of that cost over the database.
func (t *town) settle(ctx context.Context, cost signer.Cost) error {
	epochs, err := t.db.Epochs(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys' epochs: %w", err)
	}
	key, err := newOneKey(ctx, t.keys.Token, epochs.KEK)
	if err != nil {
		return err
	}
	return t.staff(ctx, staffing{keys: key, epochs: epochs, cost: cost})
}

// staffing is how the modules of a town differ.
type staffing struct {
	keys   signer.Keys
	epochs signer.Epochs
	cost   signer.Cost
	ready  int // keys that are kept ready
}

func (t *town) staff(ctx context.Context, s staffing) error {
	authority, err := t.authority(ctx)
	if err != nil {
		return err
	}
	vault := signer.NewVault(signer.VaultConfig{Keys: s.keys, Epochs: s.epochs, Cost: s.cost, Parallel: parallel, Queue: 1 << 10})
	limits := signer.DefaultLimits()
	limits.CodePace = signer.Pace{PerHour: 1 << 30}
	quiet := slog.New(slog.DiscardHandler)
	t.module = signer.New(signer.Config{
		Store: t.db, Keys: s.keys, Vault: vault, Issuer: authority, Courier: t.phone, Rules: policies.DefaultRules(), Limits: limits,
		KeyAlgorithm: hsm.RSA3072, ReadyKeys: s.ready, Now: time.Now, Logger: quiet,
	})
	t.register = citizen.New(citizen.Config{
		Store: t.db, People: signer.People{Rows: t.db, Vault: vault, Now: time.Now, Logger: quiet},
		Codes: t.module, Vault: vault, Limits: citizen.DefaultLimits(), Now: time.Now,
	})
	return nil
}

// base is the address of a town's service.
const base = "http://localhost"

// authority is the one of the ceremony that was held in prepare.
func (t *town) authority(ctx context.Context) (*online.CA, error) {
	return online.New(ctx, online.Config{
		Store: t.db, Statuses: t.db.Statuses(), Keys: t.keys.Token, Base: base, Lint: lint.Certificate,
		StampPolicy: stampPolicy(),
		Trusted:     func(context.Context) error { return nil }, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
}

// stampPolicy is the best practices policy for time-stamps (ETSI EN 319 421,
// section 5.2).
func stampPolicy() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1} }

// oneKey is a token that makes one key pair for all: RSA generation is not what
// is measured, and would be most of what setting up takes.
type oneKey struct {
	*hsm.Token

	public  crypto.PublicKey
	wrapped []byte
}

func newOneKey(ctx context.Context, token *hsm.Token, epoch int) (oneKey, error) {
	public, wrapped, err := token.GenerateWrapped(ctx, signer.KEK.Label(epoch), hsm.RSA3072)
	return oneKey{token, public, wrapped}, err
}

// GenerateWrapped implements signer.Keys.
func (k oneKey) GenerateWrapped(context.Context, string, string) (crypto.PublicKey, []byte, error) {
	return k.public, bytes.Clone(k.wrapped), nil // its caller wipes it
}

// phone keeps each number's last code.
type phone struct {
	mu    sync.Mutex
	codes map[string]signer.Code
}

// Remind implements signer.Courier: nobody is reminded here.
func (p *phone) Remind(context.Context, signer.ReminderMessage) error { return nil }

// Tell implements signer.Courier: here nobody wants to be told.
func (p *phone) Tell(context.Context, signer.NoticeMessage) error { return nil }

// SendCode implements signer.Courier.
func (p *phone) SendCode(_ context.Context, m signer.CodeMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[m.Phone] = m.Code
	return nil
}

func (p *phone) last(number string) signer.Code {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes[number]
}

// resident is a citizen with a password, mostly with a certificate as well.
type resident struct {
	identifier string
	phone      string
}

const (
	home     = "192.0.2.1"
	password = "Olmo-7-cerezo-verde" //nolint:gosec // of citizens who do not exist
)

// number gives each person another DNI and phone, not in any order, as people
// come.
func (t *town) number() resident {
	t.people++
	n := t.people * 61_803_399 % 100_000_000 // a factor without a divisor in common with 10^8: no number twice
	return resident{
		identifier: fmt.Sprintf("%08d%c", n, "TRWAGMYFPDXBNJZSQVHLCKE"[n%23]),
		phone:      fmt.Sprintf("+346%08d", n),
	}
}

// enrol takes a person from the office to a certificate.
func (t *town) enrol(ctx context.Context) (resident, error) {
	r, err := t.activate(ctx)
	if err != nil {
		return r, err
	}
	return r, t.certify(ctx, r)
}

// activate takes a person from the office to a password.
func (t *town) activate(ctx context.Context) (resident, error) {
	r := t.number()
	a, err := application(r)
	if err != nil {
		return r, err
	}
	receipt, err := t.register.Register(ctx, a)
	if err != nil {
		return r, fmt.Errorf("registering: %w", err)
	}
	session, _, err := t.register.StartActivation(ctx, citizen.Claim{
		Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode, RemoteAddr: home,
	})
	if err != nil {
		return r, fmt.Errorf("activating: %w", err)
	}
	if err := t.register.Confirm(ctx, signer.Answer{Ticket: session.Ticket, Code: t.phone.last(r.phone)}); err != nil {
		return r, fmt.Errorf("activating: %w", err)
	}
	chosen, err := citizen.ParsePassword([]byte(password))
	if err != nil {
		return r, fmt.Errorf("choosing a password: %w", err)
	}
	if err := t.register.SetPassword(ctx, session.Ticket, chosen); err != nil {
		return r, fmt.Errorf("setting a password: %w", err)
	}
	return r, nil
}

func application(r resident) (citizen.Application, error) {
	a := citizen.Application{Locale: "es", Office: "Oficina 1", Officer: "office", DocumentUntil: time.Now().AddDate(5, 0, 0)}
	var errs [4]error
	a.Identifier, errs[0] = citizen.ParseIdentifier(r.identifier)
	a.Name, errs[1] = citizen.ParseName("Ana", "Núñez Pérez")
	a.Phone, errs[2] = citizen.ParsePhone(r.phone)
	a.Email, errs[3] = citizen.ParseEmail("ana@example.es")
	return a, errors.Join(errs[:]...)
}

func (t *town) certify(ctx context.Context, r resident) error {
	answer, err := t.apply(ctx, r)
	if err != nil {
		return err
	}
	return t.issue(ctx, answer)
}

// apply takes a citizen to where only the code for a certificate has to be
// typed.
func (t *town) apply(ctx context.Context, r resident) (signer.Answer, error) {
	request, err := t.ask(ctx, r, 1)
	if err != nil {
		return signer.Answer{}, err
	}
	session, err := t.identify(ctx, t.module, request, r)
	if err != nil {
		return signer.Answer{}, fmt.Errorf("identifying: %w", err)
	}
	if _, err := t.module.SendCode(ctx, signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForCertificate}); err != nil {
		return signer.Answer{}, fmt.Errorf("sending a code: %w", err)
	}
	return signer.Answer{Ticket: session.Ticket, Code: t.phone.last(r.phone)}, nil
}

func (t *town) issue(ctx context.Context, answer signer.Answer) error {
	if _, err := t.module.IssueCredential(ctx, answer); err != nil {
		return fmt.Errorf("certifying: %w", err)
	}
	return nil
}

// ask stores and opens a request for the signature of some documents by their
// hashes.
func (t *town) ask(ctx context.Context, r resident, documents int) (string, error) {
	now := time.Now()
	n := signer.NewRequest{
		Request: signer.Request{
			ID: rand.Text(), Application: t.app.Application, Identifier: r.identifier, Title: "Solicitud de ayuda", Locale: "es",
			ReturnURL: t.app.ReturnAddresses[0], CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour),
		},
		IdempotencyKey: rand.Text(), BodyHash: make([]byte, 32),
	}
	for i := range documents {
		content := []byte(rand.Text())
		sum := sha256.Sum256(content)
		n.Request.Documents = append(n.Request.Documents, signer.Document{
			Ordinal: i + 1, Name: "solicitud.txt", MediaType: "text/plain", Format: signer.CAdESDetached,
			Size: int64(len(content)), SHA256: sum[:],
		})
		n.Contents = append(n.Contents, signer.HeldContent(content))
	}
	if _, _, err := t.public.AddRequest(ctx, n); err != nil {
		return "", fmt.Errorf("storing a request: %w", err)
	}
	if err := t.module.Open(ctx, n.Request.ID); err != nil {
		return "", fmt.Errorf("opening a request: %w", err)
	}
	return n.Request.ID, nil
}

// identify proves the password to a module, this town's or another process's.
func (t *town) identify(ctx context.Context, module signer.Module, request string, r resident) (signer.Session, error) {
	return module.Identify(ctx, signer.Identification{
		RequestID: request, Identifier: r.identifier, Password: []byte(password), RemoteAddr: home,
	})
}

// ready takes a citizen to where only the code has to be typed.
func (t *town) ready(ctx context.Context, r resident, documents int) (signer.Answer, error) {
	request, err := t.ask(ctx, r, documents)
	if err != nil {
		return signer.Answer{}, err
	}
	session, err := t.identify(ctx, t.module, request, r)
	if err != nil {
		return signer.Answer{}, fmt.Errorf("identifying: %w", err)
	}
	if err := t.fix(ctx, request, session); err != nil {
		return signer.Answer{}, err
	}
	if _, err := t.module.SendCode(ctx, signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature}); err != nil {
		return signer.Answer{}, fmt.Errorf("sending a code: %w", err)
	}
	return signer.Answer{Ticket: session.Ticket, Code: t.phone.last(r.phone)}, nil
}

// fix settles the documents for a session, as the public side does.
func (t *town) fix(ctx context.Context, request string, session signer.Session) error {
	r, err := t.public.Request(ctx, request)
	if err != nil {
		return fmt.Errorf("reading a request: %w", err)
	}
	fixed := make([]signer.Fixed, len(r.Documents))
	for i, d := range r.Documents {
		fixed[i] = signer.Fixed{Ordinal: d.Ordinal, SigningTime: time.Now().UTC().Truncate(time.Second), Hash: signer.SHA256, Digest: d.SHA256}
	}
	if err := t.public.FixDocuments(ctx, request, session.Ticket.Hash(), fixed); err != nil {
		return fmt.Errorf("fixing documents: %w", err)
	}
	return nil
}

// sign goes through a whole signature.
func (t *town) sign(ctx context.Context, r resident) error {
	answer, err := t.ready(ctx, r, 1)
	if err != nil {
		return err
	}
	return confirm(ctx, t.module, answer)
}

// confirm authorises with a code and spends the authorisation.
func confirm(ctx context.Context, module signer.Module, answer signer.Answer) error {
	a, err := module.Authorise(ctx, answer)
	if err != nil {
		return fmt.Errorf("authorising: %w", err)
	}
	if err := module.Sign(ctx, a.SAD); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	return nil
}
