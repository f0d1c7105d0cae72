package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/notify/smpp"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
	"github.com/rubrica-firma/rubrica/store"
)

// MailSettings say where letters go. The relay signs them (DKIM, RFC 6376).
type MailSettings struct {
	// MailServer takes letters to citizens.
	MailServer string `help:"SMTP server, host:port." required:""`
	MailFrom   string `help:"Sender of letters." default:"no-responder@localhost"`
	MailUser   string `help:"User at the mail server."`
	// MailPasswordFile holds that user's password.
	MailPasswordFile string `help:"File with the password at the mail server." type:"existingfile"`
	MailCAFile       string `name:"mail-ca-file" help:"Authorities of the mail server's certificate (PEM); else the system's." type:"existingfile"`
	MailWithoutTLS   bool   `name:"mail-without-tls" help:"Send letters without TLS." production:"never"`
}

func (s MailSettings) smtp() (notify.SMTP, error) {
	host, port, err := net.SplitHostPort(s.MailServer)
	if err != nil {
		return notify.SMTP{}, fmt.Errorf("reading mail-server: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return notify.SMTP{}, fmt.Errorf("reading the port of mail-server: %w", err)
	}
	smtp := notify.SMTP{Host: host, Port: number, From: s.MailFrom, User: s.MailUser, Plain: s.MailWithoutTLS}
	if s.MailPasswordFile != "" {
		if smtp.Password, err = secretFile(s.MailPasswordFile); err != nil {
			return notify.SMTP{}, err
		}
	}
	if s.MailCAFile != "" {
		if smtp.Authorities, err = authorities(s.MailCAFile); err != nil {
			return notify.SMTP{}, err
		}
	}
	return smtp, nil
}

// authorities reads certificates in PEM.
func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// SMSSettings say who carries SMS, and how many.
type SMSSettings struct {
	// SMSGateway takes POST {id, to, text} with a bearer token and answers 202.
	SMSGateway   string `name:"sms-gateway" help:"Address of an SMS operator's gateway." production:"https"`
	SMSTokenFile string `name:"sms-token-file" help:"File with the gateway's bearer token." type:"existingfile"`
	SMSStatusURL string `name:"sms-status-url" help:"Address where the gateway tells what became of a message, with {id} in it." production:"https"`
	// SMSOperators holds accounts at operators, SMPP or HTTP (docs/operating.md).
	SMSOperators string `name:"sms-operators" help:"File with accounts at SMS operators (TOML)." type:"existingfile" placeholder:"FILE"`
	// SMSPatience is how long one operator may take before the next one is asked.
	SMSPatience time.Duration `name:"sms-patience" help:"How long an SMS operator may take." default:"4s"`
	// The limits against pumping; 0 is none.
	SMSPrefixes  []string `name:"sms-prefixes" help:"Beginnings of the numbers that SMS go to." default:"+346,+347"`
	SMSPerNumber int      `name:"sms-per-number" help:"SMS an hour to one number; 0: no limit." default:"20"`
	SMSPerPrefix int      `name:"sms-per-prefix" help:"SMS an hour to a block of 10,000 numbers; 0: no limit." default:"500"`
	SMSPerHour   int      `name:"sms-per-hour" help:"SMS an hour; 0: no limit." default:"20000"`
}

func (s SMSSettings) limits() notify.SMSLimits {
	return notify.SMSLimits{Allowed: s.SMSPrefixes, PerNumber: s.SMSPerNumber, PerPrefix: s.SMSPerPrefix, Service: s.SMSPerHour}
}

// Duration is a time as TOML writes it: "30s".
type Duration struct{ time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	var err error
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// operatorAccount is one [[operator]] of the operators' file.
type operatorAccount struct {
	Name     string
	Kind     string // smpp or http
	Priority int    // the least is asked first
	// Of SMPP 3.4.
	Address      string
	TLS          bool
	CAFile       string `toml:"ca_file"` // authorities of the operator's certificate; else the system's
	SystemID     string `toml:"system_id"`
	SystemType   string `toml:"system_type"`
	PasswordFile string `toml:"password_file"`
	Source       string // number or name that messages come from
	Window       int
	Enquire      Duration
	// Of HTTP.
	URL       string
	TokenFile string `toml:"token_file"`
	// StatusURL, with {id} in the place of a message's id, tells what became of it;
	// empty where the operator tells nothing.
	StatusURL string `toml:"status_url"`
}

// accounts are the operators, those to ask first, first.
func (s SMSSettings) accounts() ([]operatorAccount, error) {
	var file struct {
		Operator []operatorAccount
	}
	if s.SMSOperators != "" {
		meta, err := toml.DecodeFile(s.SMSOperators, &file)
		if err != nil {
			return nil, fmt.Errorf("reading sms-operators: %w", err)
		}
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			return nil, fmt.Errorf("reading sms-operators: nobody knows %v", unknown)
		}
		for i := range file.Operator {
			a := &file.Operator[i]
			for _, path := range []*string{&a.CAFile, &a.PasswordFile, &a.TokenFile} {
				if *path != "" && !filepath.IsAbs(*path) {
					*path = filepath.Join(filepath.Dir(s.SMSOperators), *path)
				}
			}
		}
	}
	all := file.Operator
	if s.SMSGateway != "" {
		all = append(all, operatorAccount{Name: "gateway", Kind: "http", URL: s.SMSGateway, TokenFile: s.SMSTokenFile, StatusURL: s.SMSStatusURL})
	}
	slices.SortStableFunc(all, func(a, b operatorAccount) int { return cmp.Compare(a.Priority, b.Priority) })
	names := map[string]bool{}
	for _, a := range all {
		if a.Name == "" || names[a.Name] {
			return nil, fmt.Errorf("reading sms-operators: each needs a name of its own, and %q is not", a.Name)
		}
		names[a.Name] = true
	}
	if len(all) == 0 {
		return nil, errors.New("nobody carries SMS: set sms-operators, or sms-gateway and sms-token-file")
	}
	return all, nil
}

// check refuses what production does not allow, as the tags of settings do.
func (a operatorAccount) check(mode string) error {
	secure := a.Kind == "smpp" && a.TLS || a.Kind == "http" && strings.HasPrefix(a.URL, "https://")
	if mode != "development" && !secure {
		return fmt.Errorf("the SMS operator %s must be reached over TLS (tls = true, or https)", a.Name)
	}
	if a.StatusURL == "" {
		return nil
	}
	if mode != "development" && !strings.HasPrefix(a.StatusURL, "https://") || !strings.Contains(a.StatusURL, notify.MessageID) || a.Kind != "http" {
		return fmt.Errorf("the status_url of the SMS operator %s must be an https address of an HTTP operator, with %s in it", a.Name, notify.MessageID)
	}
	return nil
}

// messages are the ways to a citizen from the signer.
type messages struct {
	courier signer.Courier
	post    *notify.Post
	keep    []func(context.Context) // connections with operators
	outbox  *sandbox.Outbox         // nil where the deployment is no sandbox
}

func (c *SignerCommand) messages(db *store.DB, mode string, logger *slog.Logger) (messages, error) {
	sentences, err := catalogue.New()
	if err != nil {
		return messages{}, fmt.Errorf("loading the catalogue: %w", err)
	}
	host, err := c.host()
	if err != nil {
		return messages{}, err
	}
	mails, err := c.smtp()
	if err != nil {
		return messages{}, err
	}
	accounts, err := c.accounts()
	if err != nil {
		return messages{}, err
	}
	operators := &notify.Operators{Patience: c.SMSPatience, Journal: db, Now: time.Now, Logger: logger}
	all := messages{keep: []func(context.Context){func(ctx context.Context) { keepForgetting(ctx, db, logger) }}}
	for _, a := range accounts {
		if err := a.check(mode); err != nil {
			return messages{}, refused([]error{err})
		}
		operator, keep, err := a.open(operators, db, c.SMSPatience, logger)
		if err != nil {
			return messages{}, fmt.Errorf("SMS operator %s: %w", a.Name, err)
		}
		operators.All = append(operators.All, operator)
		if keep != nil {
			all.keep = append(all.keep, keep)
		}
	}
	var sender notify.Sender = &notify.Limited{Next: operators, Counts: db, Limits: c.limits(), Now: time.Now}
	all.courier = &notify.Courier{Catalogue: sentences, Sender: sender, Service: c.Service, Host: host}
	if c.Sandbox {
		all.outbox = &sandbox.Outbox{Now: time.Now}
		sender, all.courier = all.outbox.Sender(sender), all.outbox.Courier(all.courier)
	}
	all.post = &notify.Post{Catalogue: sentences, Sender: sender, SMTP: mails, Service: c.Service, PublicURL: c.PublicURL, Host: host}
	return all, nil
}

// open makes a way to an operator; keep holds the connection, if there is one.
func (a operatorAccount) open(all *notify.Operators, db notify.Undelivered, patience time.Duration, logger *slog.Logger) (o notify.Operator, keep func(context.Context), err error) {
	o.Name = a.Name
	switch a.Kind {
	case "http":
		token, err := secretFile(a.TokenFile)
		if err != nil {
			return o, nil, err
		}
		gateway := &notify.Gateway{URL: a.URL, Token: token, Timeout: patience, Client: http.DefaultClient}
		if a.StatusURL == "" {
			o.Submit = func(ctx context.Context, m notify.Message) (string, error) { return "", gateway.Send(ctx, m) }
			return o, nil, nil
		}
		o.Submit = func(ctx context.Context, m notify.Message) (string, error) { return m.ID, gateway.Send(ctx, m) }
		inquiry := &notify.Inquiry{
			Operator: a.Name, URL: a.StatusURL, Token: token, Timeout: patience, Client: http.DefaultClient,
			Messages: db, Arrived: all.Arrived, Now: time.Now, Logger: logger,
		}
		return o, inquiry.Run, nil
	case "smpp":
		password, err := secretFile(a.PasswordFile)
		if err != nil {
			return o, nil, err
		}
		secured, err := a.tls()
		if err != nil {
			return o, nil, err
		}
		client := smpp.New(smpp.Config{
			Address: a.Address, SystemID: a.SystemID, Password: password, SystemType: a.SystemType, TLS: secured, Source: a.Source,
			Window: a.Window, Patience: patience, Enquire: a.Enquire.Duration, Logger: logger,
			Receipt: func(ctx context.Context, r smpp.Receipt) { all.Arrived(ctx, a.Name, r.ID, r.Delivered) },
		})
		o.Submit = func(ctx context.Context, m notify.Message) (string, error) { return client.Submit(ctx, m.To, m.Text) }
		return o, client.Run, nil
	}
	return o, nil, fmt.Errorf("kind %q is neither smpp nor http", a.Kind)
}

func (a operatorAccount) tls() (*tls.Config, error) {
	if !a.TLS {
		return nil, nil //nolint:nilnil // no TLS
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CAFile != "" {
		var err error
		if config.RootCAs, err = authorities(a.CAFile); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// keepForgetting deletes what is old of messages and their counts.
func keepForgetting(ctx context.Context, db *store.DB, logger *slog.Logger) {
	every(ctx, time.Hour, func() {
		if err := db.ForgetMessages(ctx, time.Now()); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "forgetting_messages_failed", "error", err)
		}
	})
}
