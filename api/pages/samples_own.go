package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// own invents the pages of a citizen's own certificate.
func (s *sampler) own() {
	identify := func(state, identifier string, problems ...Problem) {
		s.add(state, &OwnIdentify{
			Problems: problems, Identifier: identifier, SubmitURL: "#main", ForgottenURL: "#main", ActivateURL: "#main", BackURL: "#main",
		})
	}
	identify("nueva", "")
	identify("no-coincide", "12345678Z", Problem{"", policies.Refuse(policies.CredentialsWrong, "tries", "3")})
	s.certificates()
	s.affairs()
	s.add("nueva", &SuspendedCertificate{
		Page: asked(), Until: s.now.AddDate(0, 0, 7), CertificateURL: "#main", ReturnURL: "#main", RefuseURL: "#main",
	})
}

func (s *sampler) certificates() {
	own := func(name string, state CertificateState, change func(*OwnCertificate)) {
		c := &OwnCertificate{
			Signer: sampleSigner(), State: state, Serial: "5f3a91c05be2d84417aa0c9f63b1e58d",
			From: s.now.AddDate(-1, 0, 0), Until: s.now.AddDate(3, 0, 0),
			Registration: OwnRegistration{Mode: string(policies.ModeOffice), AssuredAt: s.now.AddDate(-1, 0, 0), Years: 5, Until: s.now.AddDate(4, 0, 0)},
			SuspendURL:   "#main", RevokeURL: "#main", ChangeURL: "#main", BackURL: "#main",
		}
		change(c)
		s.add(name, c)
	}
	none := func(c *OwnCertificate) { c.Serial, c.SuspendURL, c.RevokeURL, c.IssueURL = "", "", "", "#main" }
	own("ninguno", NoCertificate, none)
	own("en-vigor", InForce, func(c *OwnCertificate) { c.RenewalFrom = c.Until.AddDate(0, 0, -60) })
	own("acaba", Ending, func(c *OwnCertificate) {
		c.Until, c.DaysLeft, c.IssueURL = s.now.AddDate(0, 0, 41), 41, "#main"
	})
	own("hoy", Ending, func(c *OwnCertificate) { c.Until, c.IssueURL = s.now.Add(time.Hour), "#main" })
	own("suspendido", CertificateSuspended, func(c *OwnCertificate) {
		c.RevokedAt, c.SuspendURL, c.ReleaseURL = s.now.Add(-time.Hour), "", "#main"
	})
	own("revocado", CertificateRevoked, func(c *OwnCertificate) {
		c.RevokedAt, c.SuspendURL, c.RevokeURL, c.IssueURL = s.now.Add(-time.Hour), "", "", "#main"
	})
	own("caducado", CertificateExpired, func(c *OwnCertificate) {
		c.Until, c.SuspendURL, c.RevokeURL, c.IssueURL = s.now.AddDate(0, 0, -3), "", "", "#main"
	})
	own("registro-antiguo", NoCertificate, func(c *OwnCertificate) {
		none(c)
		c.IssueURL = ""
		c.Registration.AssuredAt, c.Registration.Until, c.Registration.TooOld = s.now.AddDate(-6, 0, 0), s.now.AddDate(-1, 0, 0), true
		c.Obstacles = []*policies.Refusal{policies.Refuse(policies.RegistrationTooOld, "since", "2020-11-21", "years", "5")}
	})
	own("telematico", InForce, func(c *OwnCertificate) {
		c.Registration.Mode, c.Registration.Until = string(policies.ModeCertificate), time.Time{}
		c.Obstacles = []*policies.Refusal{
			policies.Refuse(policies.IdentityDocumentExpiry, "until", "2026-11-01"),
			policies.Refuse(policies.RegistrationTelematic, "since", "2025-11-21"),
		}
	})
}

func (s *sampler) affairs() {
	for _, a := range []Affair{Issue, Renew, Suspend, Release, Revoke} {
		s.add(string(a), &AskAffair{
			Affair: a, Signer: sampleSigner(), Until: s.now.AddDate(4, 0, 0), Issuer: "Rúbrica, autoridad de certificación interna",
			Tail: "421", SubmitURL: "#main", BackURL: "#main",
		})
	}
	for _, a := range []Affair{Issue, Renew, Suspend, Release, Revoke} {
		s.add(string(a), &AffairCode{CodeSent: s.codeSent(), Affair: a, SubmitURL: "#main", BackURL: "#main"})
	}
	s.add("codigo", &AffairCode{Problems: []Problem{wrongCode()}, CodeSent: s.codeSent(), Affair: Revoke, SubmitURL: "#main", BackURL: "#main"})
	s.add("sin-enviar", &AffairCode{
		Problems: []Problem{{"", policies.Refuse(policies.SMSFailed)}},
		Tail:     "421", AgainURL: "#main", Affair: Suspend, SubmitURL: "#main", BackURL: "#main",
	})
	for _, a := range []Affair{Issue, Renew, Suspend, Release, Revoke} {
		s.add(string(a), &AffairDone{Affair: a, At: s.now, Until: s.now.AddDate(4, 0, 0), StateURL: "#main", ActivateURL: "#main"})
	}
	s.add("sigue", &AffairDone{Affair: Release, At: s.now, StateURL: "#main", ActivateURL: "#main", ContinueURL: "#main"})
}
