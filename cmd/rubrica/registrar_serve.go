package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/store"
)

// RegistrarServeCommand runs the registrar: a process of its own, so that the
// public side can neither register anybody nor say that a certificate was shown.
type RegistrarServeCommand struct {
	// Database is opened in the role rubrica_registrar, which reads citizens and
	// writes officers' sessions, orders and decisions.
	Database string `help:"Address of the database (role rubrica_registrar)." required:""`
	// PublicURL is the desk's own; passkeys are bound to its host.
	PublicURL string `name:"public-url" help:"Address of the officers' desk, as browsers see it." required:"" production:"https"`
	Listen    string `help:"Address of the desk to listen on, with TLS." default:"127.0.0.1:8444"`
	// TLSCertificate, TLSKey and ClientCA are read again when they change. No proxy
	// may end TLS before either door: the client's certificate would be lost.
	TLSCertificate string `name:"tls-certificate" help:"Certificate of the registrar, with its chain (PEM)." required:"" type:"path"`
	TLSKey         string `name:"tls-key" help:"Its key (PEM)." required:"" type:"path"`
	ClientCA       string `name:"client-ca" help:"Authorities that issue officers' client certificates (PEM); without any, officers have passkeys." type:"path"`
	StaffCertificateSettings
	RecorderSettings
	OfficeKeysSettings
	CertificateDoorSettings
	LetterSettings
	RuleSettings
	SandboxSettings
	// Organisation, LogoText and Accent are how the deployment presents itself.
	Organisation string `help:"Who runs the service, for the pages' head." default:"Rúbrica"`
	LogoText     string `help:"Short name beside the mark." default:"Rúbrica"`
	Accent       string `help:"Colour of links and buttons, #rrggbb."`
	// AttemptsPerMinute bounds logins from one address, and certificates shown.
	AttemptsPerMinute int `help:"Logins a minute from one address." default:"20"`
}

// registrar is what the rooms of both doors share.
type registrar struct {
	db        *store.DB
	signer    *rpc.Client
	offices   []*citizen.Signatory
	papers    *staff.Papers
	sentences *catalogue.Catalogue
	sandbox   bool
	logger    *slog.Logger
}

// house are the rooms of one door, and what draws its refusals.
type house struct {
	rooms   []func(*api.Site)
	trouble api.ErrorPage
}

// Run serves until it is told to stop.
func (c *RegistrarServeCommand) Run(ctx context.Context) error {
	logger := slog.Default().With("process", "registrar")
	if c.AttemptsPerMinute < 1 {
		return errors.New("--attempts-per-minute must be 1 at least")
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	r := registrar{db: db, sandbox: c.Sandbox, logger: logger}
	if r.offices, err = c.signatories(); err != nil {
		return err
	}
	if r.signer, err = c.dial(logger); err != nil {
		return err
	}
	if r.papers, err = staff.OpenPapers(staff.Files{Certificate: c.TLSCertificate, Key: c.TLSKey, ClientCA: c.ClientCA}, logger); err != nil {
		return err
	}
	if r.sentences, err = catalogue.New(); err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	servers, err := c.servers(r)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, server := range servers {
		group.Go(func() error { return serveTLS(ctx, server) })
	}
	group.Go(func() error { keepPurging(ctx, db.Staff(personnel.Officers()), logger); return nil })
	return group.Wait()
}

// servers are the desk's and, where a trust list is named, the certificate door's.
func (c *RegistrarServeCommand) servers(r registrar) ([]*http.Server, error) {
	attempts := api.Rate{Every: time.Minute / time.Duration(c.AttemptsPerMinute), Burst: c.AttemptsPerMinute}
	limits := staff.DefaultLimits()
	limits.Attempts = attempts
	revoked, err := c.revoked(c.ClientCA, r.logger)
	if err != nil {
		return nil, err
	}
	door, err := staff.New(staff.Config{
		Kind: personnel.Officers(), Paths: staff.OfficerPaths(), PublicURL: withoutSlash(c.PublicURL), Name: c.LogoText,
		Store: r.db.Staff(personnel.Officers()), Recorder: r.signer, Authorities: r.papers.Authorities, Revoked: revoked,
		Limits: limits, Logger: r.logger, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	desk, err := c.desk(r, door)
	if err != nil {
		return nil, err
	}
	desk.rooms = append([]func(*api.Site){door.Room}, desk.rooms...)
	server, err := r.server(c.PublicURL, c.Listen, attempts, desk)
	if err != nil {
		return nil, err
	}
	server.TLSConfig = r.papers.TLS()
	if c.Trust == "" {
		return []*http.Server{server}, nil
	}
	shown, authorities, err := c.certificateDoor(r)
	if err != nil {
		return nil, err
	}
	second, err := r.server(c.CertificateURL, c.CertificateListen, attempts, shown)
	if err != nil {
		return nil, err
	}
	// Cards whose drivers know no RSA-PSS, which TLS 1.3 demands of a certificate's
	// key (RFC 8446, section 4.2.3), are to be shown here all the same.
	second.TLSConfig = r.papers.Asking(tls.VersionTLS12, authorities)
	return []*http.Server{server, second}, nil
}

// server puts a door's rooms into a site of its own.
func (r registrar) server(address, listen string, attempts api.Rate, h house) (*http.Server, error) {
	site := api.Config{
		PublicURL: withoutSlash(address), Catalogue: r.sentences, Sandbox: r.sandbox,
		Checks:    map[string]api.Check{"database": r.db.Ping, "signer": r.signer.Healthy},
		ErrorPage: h.trouble, Rooms: h.rooms, Limits: api.DefaultLimits(), Logger: r.logger, Now: time.Now,
	}
	site.Limits.Attempts = attempts
	handler, err := api.New(site)
	if err != nil {
		return nil, err
	}
	server := api.Server(handler, listen)
	server.ErrorLog = slog.NewLogLogger(r.logger.Handler(), slog.LevelDebug)
	return server, nil
}
