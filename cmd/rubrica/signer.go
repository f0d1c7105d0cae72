package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/ca/online"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
	"github.com/rubrica-firma/rubrica/store"
)

// SignerCommand runs the signature activation module: the only process with
// the HSM's PIN.
type SignerCommand struct {
	// Database is opened in the role rubrica_signer.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
	TokenSettings
	PublicSettings
	RuleSettings
	ListenSettings
	PublicationSettings

	SMSSettings
	MailSettings

	// KeyAlgorithm is the kind of citizens' keys.
	KeyAlgorithm string `help:"Citizens' keys: rsa-3072, ec-p256 or ec-p384." enum:"rsa-3072,ec-p256,ec-p384" default:"rsa-3072"`
	// RSASignatures is how RSA keys sign (RFC 8017). RSASSA-PSS is the newer of
	// the two; some old validators do not know it.
	RSASignatures string `name:"rsa-signatures" help:"How RSA keys sign: rsassa-pkcs1-v1_5 or rsassa-pss." enum:"rsassa-pkcs1-v1_5,rsassa-pss" default:"rsassa-pkcs1-v1_5"`
	// CodesPerHour and CodeInterval bound the codes sent to one citizen for one
	// purpose.
	CodesPerHour int           `help:"Codes an hour for one citizen." default:"5"`
	CodeInterval time.Duration `help:"Time between two codes." default:"30s"`
	PasswordSettings
	OwnSettings
	EntranceSettings
	ProfileSettings
	SandboxSettings
	ExplicitSettings
	// ReadyKeys are made in idle time, so that a citizen need not wait for one.
	ReadyKeys int `help:"Key pairs kept ready in memory for new certificates (keeper sealed)." default:"4"`
	// Lease is after how long an intent without an outcome is interrupted.
	Lease time.Duration `help:"How long a signature may take." default:"30s"`
}

// Run serves until it is told to stop.
func (c *SignerCommand) Run(ctx context.Context, settings settingsSum, all *Globals) error {
	if err := c.check(all.Mode); err != nil {
		return err
	}
	logger := slog.Default().With("process", "signer")
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	token, err := c.open(logger)
	if err != nil {
		return err
	}
	defer token.Close() //nolint:errcheck // the process ends
	known := map[string]bool{}
	if err := checkToken(ctx, db, token, known); err != nil {
		return err
	}
	// From here on nothing is appended to a log that is not known to be the right
	// one.
	log, err := c.publication(ctx, db, token, logger)
	if err != nil {
		return err
	}
	authority, err := c.authority(ctx, db, token, logger)
	if err != nil {
		return err
	}
	publisher, err := c.publisher(db, log, authority, logger)
	if err != nil {
		return err
	}
	letters, err := c.messages(db, all.Mode, logger)
	if err != nil {
		return err
	}
	module, services, err := c.services(ctx, signerParts{db: db, token: token, authority: authority, messages: letters, logger: logger})
	if err != nil {
		return err
	}
	module.Gate = log.guard.Gate
	services.Validation, services.AuditLog = guardedValidation{authority, log.guard}, db

	handler := answering("signer", "rpc/answering", rpc.Handler(services))
	// It listens at once, if only to say that it is not ready.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	started := false
	beside := append(letters.keep, log.guard.Run, publisher.Run)
	err = c.serve(ctx, handler, logger, append(beside, func(ctx context.Context) {
		if log.guard.Await(ctx) != nil {
			return
		}
		if err := announceStart(ctx, db, settings); err != nil {
			end(err)
			return
		}
		started = true
		together(ctx,
			func(ctx context.Context) { module.KeepReaping(ctx, 5*time.Second) },
			authority.Keep,
			module.KeepReady,
			func(ctx context.Context) { keepCounting(ctx, db, logger) },
			func(ctx context.Context) { module.KeepReminding(ctx, 10*time.Minute) },
			func(ctx context.Context) { keepTexting(ctx, db, module, logger) },
			func(ctx context.Context) { keepExpecting(ctx, db, token, known, logger) },
		)
	})...)
	linger(services)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	if !started {
		return err
	}
	return errors.Join(err, announceStop(context.WithoutCancel(ctx), db))
}

// together does several things until ctx ends.
func together(ctx context.Context, all ...func(context.Context)) {
	var group sync.WaitGroup
	for _, one := range all {
		group.Go(func() { one(ctx) })
	}
	group.Wait()
}

func announceStop(ctx context.Context, db *store.DB) error {
	return db.Log(ctx, audit.Entry{
		Type: audit.ServiceStopped, Operation: "signer", At: time.Now(), Payload: map[string]any{"version": version()},
	})
}

// authority is the certification authority with its keys.
func (c *SignerCommand) authority(ctx context.Context, db *store.DB, token *hsm.Token, logger *slog.Logger) (*online.CA, error) {
	base, err := c.plainURL()
	if err != nil {
		return nil, err
	}
	profile, stamps, err := c.profile()
	if err != nil {
		return nil, err
	}
	clock, err := trustedClock(db, logger)
	if err != nil {
		return nil, err
	}
	authority, err := online.New(ctx, online.Config{
		Store: db, Statuses: db.Statuses(), Keys: token, Base: base, Lint: lint.Certificate,
		Profile: profile, StampPolicy: stamps, Trusted: clock.Trusted, Now: time.Now, Logger: logger,
	})
	if errors.Is(err, hsm.ErrNoKey) {
		return nil, fmt.Errorf("%w (%w)", errOtherToken, err)
	}
	return authority, err
}

// trustedClock compares this machine's clock with the database's and with the
// log. Each change of its mind stands in the log.
func trustedClock(db *store.DB, logger *slog.Logger) (*ca.Clock, error) {
	return ca.NewClock(ca.ClockConfig{
		Now: time.Now, Database: db.Time, LastEntry: db.LastEntry,
		Fault: func(ctx context.Context, fault error) {
			kind, payload := audit.ClockTrusted, map[string]any{}
			if fault != nil {
				kind, payload["fault"] = audit.ClockFault, fault.Error()
				logger.ErrorContext(ctx, "clock_not_trusted", "error", fault)
			}
			if err := db.Log(ctx, audit.Entry{Type: kind, Operation: "clock", At: time.Now(), Payload: payload}); err != nil {
				logger.ErrorContext(ctx, "clock_fault_unrecorded", "error", err)
			}
		},
	})
}

// signerParts are what the services share.
type signerParts struct {
	db        *store.DB
	token     *hsm.Token
	authority *online.CA
	messages  messages
	logger    *slog.Logger
}

// services are those that are served but for authority and log.
func (c *SignerCommand) services(ctx context.Context, p signerParts) (*signer.Service, rpc.Services, error) {
	db, token, logger := p.db, p.token, p.logger
	epochs, err := db.Epochs(ctx)
	if err != nil {
		return nil, rpc.Services{}, fmt.Errorf("reading the keys' epochs: %w", err)
	}
	vault := c.vault(token, epochs)
	limits := signer.DefaultLimits()
	limits.CodePace = signer.Pace{Interval: c.CodeInterval, PerHour: c.CodesPerHour}
	limits.Lease = c.Lease
	c.bound(&limits)
	module := signer.New(signer.Config{
		Store: db, Keys: token, Vault: vault, Issuer: p.authority, Courier: p.messages.courier,
		Rules: c.rules(), Limits: limits, KeyAlgorithm: c.KeyAlgorithm, RSAScheme: cms.Scheme(c.RSASignatures), ReadyKeys: c.ReadyKeys, Explicit: c.ExplicitMode, Now: time.Now, Logger: logger,
		Step: steps("signer"),
	})
	people := signer.People{Rows: db, Vault: vault, Now: time.Now, Logger: logger}
	presentations := &citizen.Presentations{Store: db, Seals: vault, Now: time.Now}
	incidents := &citizen.Incidents{Store: db}
	ways, err := c.entrance(entranceParts{
		db: db, people: people, vault: vault, module: module, post: p.messages.post, logger: logger,
	})
	if err != nil {
		return nil, rpc.Services{}, err
	}
	acts := map[citizen.ActKind]citizen.Performer{
		citizen.ActPresentCertificate: presentations.Present,
		citizen.ActCloseIncident:      incidents.Close,
		citizen.ActChangeApplication:  changeApplication(db),
	}
	ways.perform(acts)
	registered := citizen.Config{
		Store: db, People: people, Codes: module, Vault: vault,
		Desk:  citizen.Desk{Offices: db, Seals: vault, Audience: strings.TrimRight(c.PublicURL, "/"), Now: time.Now},
		Rules: c.rules(), Limits: citizen.DefaultLimits(), Now: time.Now,
		Acts: acts,
	}
	if err := c.admit(ctx, db); err != nil {
		return nil, rpc.Services{}, err
	}
	if c.Sandbox {
		acts[citizen.ActRegister] = sandbox.Register{Config: registered}.Perform
	}
	register := citizen.New(registered)
	bounds := citizen.DefaultEnrolmentLimits()
	bounds.Pace = limits.CodePace
	enrolments := citizen.NewEnrolments(citizen.EnrolmentConfig{
		Register: register, Presentations: presentations, Store: db, Vault: vault, Access: module, Post: p.messages.post, Limits: bounds,
	})
	incidents.Register = register
	own := c.own(citizen.ProfileConfig{Register: register, Store: db, Seals: vault, Post: p.messages.post, Proofs: enrolments}, incidents)
	services := rpc.Services{
		Module: module, Register: register, Registrar: enrolments, Profile: own, Envelopes: module,
		Consents: module, Explicit: module,
		Ready: module.Ready, Logger: logger,
	}
	ways.serve(&services, enrolments)
	if p.messages.outbox != nil {
		services.Sandbox = p.messages.outbox
	}
	return module, services, nil
}

// serve listens, and does what is to be done beside, until ctx ends; then it
// lets calls that have begun finish: one of them may hold a consent.
func (c *SignerCommand) serve(ctx context.Context, handler http.Handler, logger *slog.Logger, beside ...func(context.Context)) error {
	listener, err := c.listen(ctx, logger)
	if err != nil {
		return err
	}
	server := rpc.NewServer(handler, logger)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving %s: %w", listener.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return server.Shutdown(closing)
	})
	for _, keep := range beside {
		group.Go(func() error { keep(ctx); return nil })
	}
	return group.Wait()
}

// keepTexting sends the SMS of reminders. A queue that cannot be worked now is
// tried again: nothing is lost in it.
func keepTexting(ctx context.Context, db *store.DB, module *signer.Service, logger *slog.Logger) {
	every(ctx, 10*time.Second, func() {
		if err := db.DeliverTexts(ctx, logger, module.Text); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "texting_failed", "error", err)
		}
	})
}

// keepCounting adds up what auditors see as totals. What was not counted now is
// counted the next time.
func keepCounting(ctx context.Context, db *store.DB, logger *slog.Logger) {
	every(ctx, 10*time.Second, func() {
		if err := db.Total(ctx); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "counting_failed", "error", err)
		}
	})
}

// keepExpecting learns of keys that began or were destroyed since.
func keepExpecting(ctx context.Context, db *store.DB, token *hsm.Token, known map[string]bool, logger *slog.Logger) {
	every(ctx, 5*time.Second, func() {
		if err := checkToken(ctx, db, token, known); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "token_check_failed", "error", err)
		}
	})
}

// every does something now and then at each turn, until ctx ends.
func every(ctx context.Context, turn time.Duration, do func()) {
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
