package main

import (
	"time"

	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/citizen"
)

// OwnSettings are the signer's for the citizens' own pages.
type OwnSettings struct {
	// PasswordLink has a change of password wait until a link in a mail is
	// followed; without it the password and the code by SMS suffice.
	PasswordLink bool `name:"password-link" help:"Confirm changes of password by a mailed link." default:"true" negatable:""`
	// LinkLife is how long a mailed link can be followed.
	LinkLife time.Duration `name:"link-life" help:"How long a mailed link can be followed." default:"30m"`
}

// own is what citizens do on their own pages.
func (s OwnSettings) own(config citizen.ProfileConfig, incidents *citizen.Incidents) citizen.Own {
	config.PasswordLink, config.LinkLife = s.PasswordLink, s.LinkLife
	return citizen.Own{Profile: citizen.NewProfile(config), Incidents: incidents}
}

// ownPages are the citizens' own pages.
func (c *APICommand) ownPages(door *pages.Door, p parts) pages.OwnRoom {
	return pages.OwnRoom{Door: door, Own: p.public, Profile: p.client, Certificates: c.CertificateURL != "", PINs: true, Cards: c.MunicipalCard, Retention: c.Retention}
}
