package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/api/auditing/rest"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/store"
)

// AuditorServeCommand runs the auditor's door: a process of its own, so that the
// public side never sees what the log holds.
type AuditorServeCommand struct {
	// Database is opened in the role rubrica_auditor, which reads the log and
	// writes sessions.
	Database string `help:"Address of the database (role rubrica_auditor)." required:""`
	// PublicURL is the door's own; passkeys are bound to its host.
	PublicURL string `name:"public-url" help:"Address of the auditor's door, as browsers see it." required:"" production:"https"`
	Listen    string `help:"Address to listen on, with TLS." default:"127.0.0.1:8443"`
	// TLSCertificate, TLSKey and ClientCA are read again when they change. No proxy
	// may end TLS before the door: the client's certificate would be lost.
	TLSCertificate string `name:"tls-certificate" help:"Certificate of the door, with its chain (PEM)." required:"" type:"path"`
	TLSKey         string `name:"tls-key" help:"Its key (PEM)." required:"" type:"path"`
	ClientCA       string `name:"client-ca" help:"Authorities that issue auditors' client certificates (PEM); without any, auditors have passkeys." type:"path"`
	StaffCertificateSettings
	RecorderSettings
	SandboxSettings
	// Proxies are APICommand's.
	Proxies []netip.Prefix `help:"Networks of trusted proxies (CIDR)."`
	// Organisation, LogoText and Accent are how the deployment presents itself.
	Organisation string `help:"Who runs the service, for the pages' head." default:"Rúbrica"`
	LogoText     string `help:"Short name beside the mark." default:"Rúbrica"`
	Accent       string `help:"Colour of links and buttons, #rrggbb."`
	// WitnessPolicy is the signer's: what it says is witnessed is shown as such.
	WitnessPolicy string `name:"witness-policy" help:"Witnesses of the signature log (C2SP tlog-policy)." type:"existingfile" placeholder:"FILE"`
	// LogURL is told to those who verify.
	LogURL string `name:"log-url" help:"Public address of the service, where the signature log is published; by default the one that the log's name tells."`
	// AttemptsPerMinute bounds logins from one address, CallsPerSecond the calls of
	// one program.
	AttemptsPerMinute int `help:"Logins a minute from one address." default:"20"`
	CallsPerSecond    int `help:"Calls a second of one program." default:"20"`
}

// RecorderSettings are DialSettings of a process whose tls-certificate is its own
// door's.
type RecorderSettings struct {
	SignerSocket      string `help:"Unix socket of the signer." type:"path"`
	SignerURL         string `name:"signer-url" help:"Address of the signer on another host, instead of a socket." placeholder:"https://HOST:PORT"`
	SignerCA          string `name:"signer-ca" help:"Authorities that issue the signer's certificate (PEM)." type:"path"`
	SignerCertificate string `name:"signer-certificate" help:"Certificate to show to the signer, with its chain (PEM)." type:"path"`
	SignerKey         string `name:"signer-key" help:"Its key (PEM)." type:"path"`
}

func (s RecorderSettings) dial(logger *slog.Logger) (*rpc.Client, error) {
	return DialSettings{
		SignerSocket: s.SignerSocket, SignerURL: s.SignerURL, SignerCA: s.SignerCA, TLSCertificate: s.SignerCertificate, TLSKey: s.SignerKey,
	}.dial(logger)
}

// Run serves until it is told to stop.
func (c *AuditorServeCommand) Run(ctx context.Context) error {
	logger := slog.Default().With("process", "auditor")
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	signer, err := c.dial(logger)
	if err != nil {
		return err
	}
	papers, err := staff.OpenPapers(staff.Files{Certificate: c.TLSCertificate, Key: c.TLSKey, ClientCA: c.ClientCA}, logger)
	if err != nil {
		return err
	}
	handler, err := c.handler(ctx, auditorDesk{store.ForAuditor(db), signer, papers, logger})
	if err != nil {
		return err
	}
	server := api.Server(handler, c.Listen)
	server.TLSConfig, server.ErrorLog = papers.TLS(), slog.NewLogLogger(logger.Handler(), slog.LevelDebug)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveTLS(ctx, server) })
	group.Go(func() error { keepPurging(ctx, db.Staff(personnel.Auditors()), logger); return nil })
	return group.Wait()
}

// auditorDesk is what the door's rooms share.
type auditorDesk struct {
	store  store.Auditor
	signer *rpc.Client
	papers *staff.Papers
	logger *slog.Logger
}

// handler puts the rooms into the site.
func (c *AuditorServeCommand) handler(ctx context.Context, d auditorDesk) (http.Handler, error) {
	sentences, err := catalogue.New()
	if err != nil {
		return nil, fmt.Errorf("loading the catalogue: %w", err)
	}
	address := strings.TrimRight(c.PublicURL, "/")
	limits := staff.DefaultLimits()
	limits.Attempts = api.Rate{Every: time.Minute / time.Duration(max(1, c.AttemptsPerMinute)), Burst: c.AttemptsPerMinute}
	revoked, err := c.revoked(c.ClientCA, d.logger)
	if err != nil {
		return nil, err
	}
	door, err := staff.New(staff.Config{
		Kind: personnel.Auditors(), Paths: staff.AuditorPaths(), PublicURL: address, Name: c.LogoText, Store: d.store, Recorder: d.signer, Authorities: d.papers.Authorities, Revoked: revoked,
		Limits: limits, Logger: d.logger, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	policy, err := WatchSettings{WitnessPolicy: c.WitnessPolicy}.policy()
	if err != nil {
		return nil, err
	}
	service := auditing.New(auditing.Config{
		Store: d.store, Recorder: d.signer, Policy: policy, SignerReady: d.signer.Healthy, Now: time.Now,
	})
	drawn, err := c.pages(ctx, d, sentences, pages.AuditDoorConfig{Auditing: service, Auditors: door})
	if err != nil {
		return nil, err
	}
	site := api.Config{
		PublicURL: address, Proxies: c.Proxies, Catalogue: sentences, Sandbox: c.Sandbox,
		Clients: door.Programs(), Scopes: []string{api.ScopeAudit}, Certificate: door.Certificate, Refused: door.Refused,
		Checks:    map[string]api.Check{"database": d.store.Ping, "signer": d.signer.Healthy},
		ErrorPage: drawn.Trouble,
		Rooms: []func(*api.Site){
			door.Room, drawn.Room, rest.Room(rest.Config{Service: service, Identify: door.Identify}),
		},
		Limits: api.DefaultLimits(), Logger: d.logger, Now: time.Now,
	}
	site.Limits.Attempts, site.Limits.Calls = limits.Attempts, perSecond(c.CallsPerSecond)
	return api.New(site)
}

func (c *AuditorServeCommand) pages(ctx context.Context, d auditorDesk, sentences *catalogue.Catalogue, config pages.AuditDoorConfig) (*pages.AuditDoor, error) {
	drawn, err := pages.New(pages.Options{
		Catalogue: sentences, Sandbox: c.Sandbox, Logger: d.logger,
		Branding: pages.Branding{LogoText: c.LogoText, Organisation: c.Organisation, Accent: c.Accent},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the pages: %w", err)
	}
	config.Pages, config.Applications, config.Now = drawn, d.store.ApplicationNames, time.Now
	config.Origin, config.PublicURL, err = c.published(ctx, d.store)
	return pages.NewAuditDoor(config), err
}

// published is the log's name and where it is. One that nothing has been
// published of yet has no name.
func (c *AuditorServeCommand) published(ctx context.Context, s store.Auditor) (origin, address string, err error) {
	trees, err := s.Trees(ctx)
	if err != nil {
		return "", "", fmt.Errorf("reading the log's name: %w", err)
	}
	if len(trees) > 0 {
		origin = trees[len(trees)-1].Origin
		host, _, _ := strings.Cut(origin, "/")
		address = "https://" + host
	}
	if c.LogURL != "" {
		address = strings.TrimRight(c.LogURL, "/")
	}
	return origin, address, nil
}

// serveTLS serves until ctx ends, and then what is under way.
func serveTLS(ctx context.Context, server *http.Server) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", server.Addr)
	if err != nil {
		return fmt.Errorf("listening on %s (another program may hold the port; name another --listen): %w", server.Addr, err)
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		stopped <- server.Shutdown(closing)
	}()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return <-stopped
}

// keepPurging forgets sessions, challenges and invitations that ended.
func keepPurging(ctx context.Context, s store.Staff, logger *slog.Logger) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.Purge(ctx, time.Now()); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "purge_failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
