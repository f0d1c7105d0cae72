package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/presenting"
	"github.com/rubrica-firma/rubrica/citizen"
)

// CertificateDoorSettings say where citizens show their certificates, and which
// are believed.
type CertificateDoorSettings struct {
	// Trust is the list of accepted authorities; without it there is no such door.
	// docs/certificate-door.md says what it holds. It is read again when it changes.
	Trust             string `help:"Trust list of accepted authorities (TOML); without it, no certificates are taken." type:"path" placeholder:"FILE"`
	CertificateURL    string `name:"certificate-url" help:"Address of the certificate door, as browsers see it." production:"https"`
	CertificateListen string `name:"certificate-listen" help:"Address of the certificate door to listen on, with TLS." default:"127.0.0.1:8445"`
}

// certificateDoor are the rooms of the certificate door, and the authorities
// whose certificates browsers offer there. What is shown, the first office says.
func (c *RegistrarServeCommand) certificateDoor(r registrar) (house, func() *x509.CertPool, error) {
	if c.CertificateURL == "" {
		return house{}, nil, errors.New("a trust list (--trust) without the address of its door (--certificate-url)")
	}
	trust, err := presenting.OpenTrustFile(c.Trust, r.logger)
	if err != nil {
		return house{}, nil, err
	}
	door, err := presenting.New(presenting.Config{
		Trust: trust, Office: r.offices[0], Recorder: r.signer, ServiceURL: c.ServiceURL, Logger: r.logger, Now: time.Now,
		Perform: func(ctx context.Context, act citizen.Act) (string, error) {
			receipt, err := r.signer.Perform(ctx, act)
			return receipt.Code, err
		},
	})
	if err != nil {
		return house{}, nil, err
	}
	drawn, err := pages.New(pages.Options{
		Catalogue: r.sentences, Sandbox: c.Sandbox, Logger: r.logger,
		Branding: pages.Branding{LogoText: c.LogoText, Organisation: c.Organisation, Accent: c.Accent},
	})
	if err != nil {
		return house{}, nil, fmt.Errorf("preparing the pages: %w", err)
	}
	rooms := pages.NewCertificateDoor(pages.CertificateDoorConfig{Pages: drawn, Presenting: door, ServiceURL: withoutSlash(c.ServiceURL), Now: time.Now})
	authorities := func() *x509.CertPool { return trust.List(context.Background()).Authorities() }
	return house{rooms: []func(*api.Site){rooms.Room}, trouble: rooms.Trouble}, authorities, nil
}
