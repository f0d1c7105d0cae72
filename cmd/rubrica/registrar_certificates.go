package main

import (
	"crypto/x509"
	"fmt"

	"github.com/rubrica-firma/rubrica/api/presenting"
)

// CertificateDoorSettings say where citizens show their certificates, and which
// are believed.
type CertificateDoorSettings struct {
	// Trust is the list of accepted authorities; without it there is no such door.
	Trust             string `help:"Trust list of accepted authorities (TOML); without it, no certificates are taken." type:"path" placeholder:"FILE"`
	CertificateURL    string `name:"certificate-url" help:"Address of the certificate door, as browsers see it." production:"https"`
	CertificateListen string `name:"certificate-listen" help:"Address of the certificate door to listen on, with TLS." default:"127.0.0.1:8445"`
}

// certificateDoor are the rooms of the certificate door, and the authorities
// whose certificates browsers offer there.
func (c *RegistrarServeCommand) certificateDoor(registrar) (house, func() *x509.CertPool, error) {
	trust, err := presenting.OpenTrust(c.Trust)
	if err != nil {
		return house{}, nil, fmt.Errorf("reading the trust list: %w", err)
	}
	return house{}, trust.Authorities, nil
}
