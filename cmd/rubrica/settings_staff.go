package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/rubrica-firma/rubrica/api/presenting"
)

// StaffCertificateSettings say how it is known that client certificates of the
// personnel were not revoked.
type StaffCertificateSettings struct {
	// ClientRevocation may be off only where the authorities of client-ca publish
	// nothing. Who loses a certificate there has the account closed.
	ClientRevocation string `name:"client-revocation" help:"check asks whether a client certificate was revoked, and lets nobody in of whom nobody knows; off is for authorities that publish neither OCSP nor lists." enum:"check,off" default:"check"`
	// ClientOCSP and ClientCRL are asked in the place of what certificates name.
	ClientOCSP []string `name:"client-ocsp" help:"Responder of the authorities of --client-ca, instead of those that certificates name." placeholder:"URL"`
	ClientCRL  []string `name:"client-crl" help:"Revocation list of these authorities, instead of those that certificates name." placeholder:"URL"`
	// ClientHosts may be asked, as they stand in certificates; ClientNetworks is
	// where a host may be found that is not public.
	ClientHosts    []string       `name:"client-hosts" help:"Hosts that certificates name and that may be asked." placeholder:"HOST"`
	ClientNetworks []netip.Prefix `name:"client-networks" help:"Networks inside where these hosts may be." placeholder:"CIDR"`
}

// revoked is staff.Config's, nil where nothing is checked.
func (s StaffCertificateSettings) revoked(clientCA string, logger *slog.Logger) (func(context.Context, []*x509.Certificate) error, error) {
	if clientCA == "" || s.ClientRevocation == "off" {
		return nil, nil
	}
	register, err := presenting.NewRevocations(presenting.RevocationConfig{
		Hosts: s.ClientHosts, Networks: s.ClientNetworks, OCSP: s.ClientOCSP, CRL: s.ClientCRL, Logger: logger, Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("--client-ca: %w (--client-hosts, --client-ocsp, --client-crl; --client-revocation=off where these authorities publish nothing)", err)
	}
	return register.Check, nil
}
