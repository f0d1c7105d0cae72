package main

import (
	"strings"

	"github.com/rubrica-firma/rubrica/api/pages"
)

// RegistrationSettings are where people register on line.
type RegistrationSettings struct {
	// CertificateURL is the registrar's, where people show certificates. Without it
	// nobody registers, renews or changes a mobile with one.
	CertificateURL string `name:"certificate-url" help:"Address of the certificate door, as browsers see it; empty if there is none." production:"https"`
}

// registration is the room of those who register on line.
func (c *APICommand) registration(door *pages.Door, p parts) pages.RegistrationRoom {
	return pages.RegistrationRoom{
		Door: door, Registrar: p.client, Enrolments: p.public,
		OfficesURL:     pages.OfficesPath,
		CertificateURL: strings.TrimRight(c.CertificateURL, "/"), ServiceURL: c.PublicURL,
		LetterURL: c.letterURL(),
	}
}
