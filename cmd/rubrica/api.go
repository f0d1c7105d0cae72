package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/published"
	"github.com/rubrica-firma/rubrica/api/receipts"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/api/validation"
	"github.com/rubrica-firma/rubrica/api/verification"
	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/store"
)

// APICommand runs the public side: HTTP, documents, pages, mail.
type APICommand struct {
	// Database is opened in the role rubrica_api.
	Database string `help:"Address of the database (role rubrica_api)." required:""`
	PublicSettings
	RuleSettings
	Listen string `help:"Address to listen on." default:"127.0.0.1:8080"`
	DialSettings
	// Proxies are the networks of reverse proxies whose X-Forwarded-For is
	// believed; without any, clients connect directly.
	Proxies []netip.Prefix `help:"Networks of trusted proxies (CIDR)."`
	// ClientCertHeader is where those proxies hand on the TLS client certificates of
	// applications, such as Client-Cert (RFC 9440). Without it none is known.
	ClientCertHeader string `name:"client-cert-header" help:"Header in which trusted proxies hand on TLS client certificates." placeholder:"Client-Cert"`
	// Organisation, LogoText and Accent are how the deployment presents itself.
	Organisation string `help:"Who runs the service, for the pages' head." default:"Rúbrica"`
	LogoText     string `help:"Short name beside the mark." default:"Rúbrica"`
	Accent       string `help:"Colour of links and buttons, #rrggbb."`
	// Retention is how long documents stay after a request has ended (TS
	// 119 431-2, OVR-7.13-03).
	Retention time.Duration `help:"How long documents are kept after the end." default:"168h"`
	// CodeInterval is the signer's, so that pages count down to it.
	CodeInterval time.Duration `help:"Time between two codes, as the signer has it." default:"30s"`
	// AttemptsPerMinute bounds identifications and activations from one address.
	AttemptsPerMinute int `help:"Identifications a minute from one address." default:"30"`
	// CallsPerSecond bounds the calls of one application.
	CallsPerSecond int `help:"Calls a second of one application." default:"50"`
	// QuestionsPerSecond bounds the OCSP requests of one address that are not
	// answered from memory, StampsPerSecond its time-stamps.
	QuestionsPerSecond int `help:"OCSP requests a second from one address, beyond those answered from memory." default:"200"`
	StampsPerSecond    int `help:"Time-stamps a second for one address." default:"50"`

	// WitnessPolicy is the signer's: receipts wait for its witnesses, and name them.
	WitnessPolicy string `name:"witness-policy" help:"Witnesses of the signature log (C2SP tlog-policy)." type:"existingfile" placeholder:"FILE"`

	EvidenceSettings
	// DocumentRules are exceptions to what is done about findings in documents
	// (docs/formats.md): a finding's code, and refuse, warn or allow.
	DocumentRules map[string]string `name:"document-rules" help:"What to do about a finding in a document, such as javascript_form=refuse;attachments=warn." placeholder:"FINDING=VERDICT"`

	MailSettings
	WebhookSettings
	RegistrationSettings
	EntrancePages
	SandboxSettings
	ExplicitSettings
	// Development shows the component page and lets cookies travel without TLS.
	Development bool `help:"Serve without TLS, with the component page." production:"never"`
}

// Run serves until it is told to stop.
func (c *APICommand) Run(ctx context.Context) error {
	logger := slog.Default().With("process", "api")
	// The live heap is a few megabytes and each document is garbage of the same
	// size: at Go's default it would be collected several times a ceremony.
	debug.SetGCPercent(400)
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	public := store.ForPublic(db)
	sentences, err := catalogue.New()
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	mailer, err := c.mailer(sentences, public)
	if err != nil {
		return err
	}
	client, err := c.dial(logger)
	if err != nil {
		return err
	}
	desk, err := validation.New(validation.Config{
		Validation: client, Feed: public, Published: public, Limits: c.validationLimits(), Logger: logger, Now: time.Now,
	})
	if err != nil {
		return err
	}
	p := parts{public: public, client: client, desk: desk, sentences: sentences, logger: logger}
	if err := c.core(ctx, &p); err != nil {
		return err
	}
	core := p.core
	announcer, deliver, err := c.webhooks(db, logger)
	if err != nil {
		return err
	}
	p.rooms = append(p.rooms, announcer)
	handler, err := c.handler(p)
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.serve(ctx, answering("api", "http/answering", handler)) })
	group.Go(func() error {
		return db.Work(ctx, logger, store.Duties{Deliver: mailer.Deliver, Augment: core.Augment, Settle: core.Settle})
	})
	group.Go(func() error { return deliver(ctx) })
	group.Go(func() error { c.keepPurging(ctx, public, logger); return nil })
	group.Go(func() error { desk.Follow(ctx); return nil })
	return group.Wait()
}

func (c *APICommand) validationLimits() validation.Limits {
	limits := validation.DefaultLimits()
	limits.Questions = perSecond(c.QuestionsPerSecond)
	limits.Stamps = perSecond(c.StampsPerSecond)
	return limits
}

// perSecond is a rate with room for bursts of four seconds.
func perSecond(n int) api.Rate {
	return api.Rate{Every: time.Second / time.Duration(max(1, n)), Burst: 4 * n}
}

// parts are what the rooms share.
type parts struct {
	public        store.Public
	client        *rpc.Client
	desk          *validation.Desk
	core          *requests.Service
	worker        *documents.Worker
	verifications *verification.Service
	sentences     *catalogue.Catalogue
	rooms         []func(*api.Site) // of their own
	logger        *slog.Logger
}

// core adds what all doors share, and the worker that reads documents for it.
func (c *APICommand) core(ctx context.Context, p *parts) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if p.worker, err = documents.New(ctx, documents.Config{Command: []string{program, documentWorker}}); err != nil {
		return err
	}
	base, err := c.plainURL()
	if err != nil {
		return err
	}
	with, err := c.evidence(p.public, p.client, base, p.logger)
	if err != nil {
		return err
	}
	if p.verifications, err = c.verifications(p.public, p.worker, with.collector, p.logger); err != nil {
		return err
	}
	judgement, err := policies.DefaultDocumentRules().With(c.DocumentRules)
	if err != nil {
		return fmt.Errorf("reading document-rules: %w", err)
	}
	module := announced(p.client)
	p.core = requests.New(requests.Config{
		Store: p.public, Envelopes: p.public, Opener: module, Withdrawer: module, Worker: p.worker, Augmenter: with.augmenter, Trust: with.trust,
		Rules: c.rules(), Documents: judgement, Limits: requests.DefaultLimits(), Sandbox: c.Sandbox,
		Logger: p.logger, Now: time.Now,
	})
	return nil
}

// handler puts the rooms into the site.
func (c *APICommand) handler(p parts) (http.Handler, error) {
	public, module, core, worker := p.public, announced(p.client), p.core, p.worker
	drawn, err := pages.New(pages.Options{
		Catalogue: p.sentences, Development: c.Development, Sandbox: c.Sandbox, Logger: p.logger,
		Branding: pages.Branding{LogoText: c.LogoText, Organisation: c.Organisation, Accent: c.Accent},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the pages: %w", err)
	}
	policy, err := readWitnesses(c.WitnessPolicy)
	if err != nil {
		return nil, err
	}
	proofs := receipts.New(receipts.Config{Log: public, Policy: policy, Patience: 5 * time.Second, Draw: drawn.Evidence})
	authority, err := c.authority(p)
	if err != nil {
		return nil, err
	}
	door := pages.NewDoor(pages.DoorConfig{
		Pages: drawn, Store: public, Requests: core, Receipts: proofs, Module: module, Register: module, Viewer: worker, Grants: authority,
		Rules: c.rules(), Issuer: c.Service, CodeInterval: c.CodeInterval, Development: c.Development, Now: time.Now,
	})
	native, err := rest.Room(rest.Config{
		Requests: core, Envelopes: core, Store: public, Receipts: proofs, Register: module, Videos: public, Webhooks: public, Verifications: p.verifications, Reports: drawn, Sandbox: c.codes(p.client), SigningPath: pages.SigningPath, Limits: core.Limits, Now: time.Now,
		Pages: map[policies.Where]string{
			policies.AtActivation: "/activar", policies.AtPassword: "/contrasena", policies.AtCertificate: "/certificado",
		},
	})
	if err != nil {
		return nil, err
	}
	limits := api.DefaultLimits()
	limits.Attempts = api.Rate{Every: time.Minute / time.Duration(c.AttemptsPerMinute), Burst: c.AttemptsPerMinute}
	limits.Calls = perSecond(c.CallsPerSecond)
	return api.New(api.Config{
		PublicURL: c.PublicURL, Proxies: c.Proxies, Catalogue: p.sentences, Authority: authority, Sandbox: c.Sandbox,
		Checks:    map[string]api.Check{"database": public.Ping, "signer": module.Healthy},
		ErrorPage: door.Trouble, Rooms: append(append(p.rooms, c.entrances(door, p.client)...),
			authority.Room, c.cloudSignatures(p, authority, drawn, module).Room, pages.AuthoriseRoom{Door: door, Authorisations: announcedErrands(authority)}.Room, p.desk.Room, native, door.Room, c.registration(door, p).Room, c.ownPages(door, p).Room, published.Room(published.Config{Log: public, Policy: policy.String()}),
			pages.OfficeRoom{Door: door, Places: public}.Room,
		),
		Limits: limits, Logger: p.logger, Now: time.Now,
	})
}

func (c *APICommand) mailer(sentences *catalogue.Catalogue, public store.Public) (*notify.Mailer, error) {
	smtp, err := c.smtp()
	if err != nil {
		return nil, err
	}
	return &notify.Mailer{
		Catalogue: sentences, Records: public, SMTP: smtp, Service: c.Service, PublicURL: c.PublicURL,
		Rules: c.rules(), Now: time.Now,
	}, nil
}

func (c *APICommand) serve(ctx context.Context, handler http.Handler) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s (another program may hold the port; name another --listen): %w", c.Listen, err)
	}
	server := api.Server(handler, c.Listen)
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		stopped <- server.Shutdown(closing)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return <-stopped
}

// keepPurging forgets expired tokens and documents whose retention is over.
func (c *APICommand) keepPurging(ctx context.Context, public store.Public, logger *slog.Logger) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		err := public.Purge(ctx, time.Now(), c.Retention, requests.DefaultLimits().UploadLife)
		for more := true; more && err == nil; {
			more, err = public.ForgetWebhooks(ctx, time.Now().Add(-c.Retention))
		}
		if err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "purge_failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
