package pages

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// sampleClient is an application in the midst of a change of keys.
func (s *sampler) sampleClient() signer.RegisteredClient {
	sum := sha256.Sum256([]byte("certificate"))
	return signer.RegisteredClient{
		ID: "qz4dtn2h6mvx", Name: "Sede electrónica", Organisation: "Ayuntamiento de Valdehierro",
		Scopes: []string{"signature", "service", "credential"}, Contact: "sistemas@valdehierro.example.es",
		ReturnAddresses: []string{"https://sede.valdehierro.example.es/firma/vuelta"}, Switches: []string{signer.SwitchNoPAR},
		Doors: []string{signer.DoorREST, signer.DoorCSC2}, Formats: []signer.Format{signer.PAdES}, Levels: []cades.Level{cades.BB, cades.BT}, Calls: 20,
		Keys: []signer.ClientKey{
			{ID: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", NotBefore: s.now.AddDate(-2, 0, 10), NotAfter: s.now.AddDate(0, 0, 10), AddedAt: s.now.AddDate(-2, 0, 10)},
			{ID: "clave-2027", NotBefore: s.now.AddDate(0, 0, 5), NotAfter: s.now.AddDate(2, 0, 5), AddedAt: s.now},
		},
		Certificates: []signer.ClientCertificate{{SHA256: sum[:], NotBefore: s.now.AddDate(-1, 0, 0), NotAfter: s.now.AddDate(1, 0, 0), AddedAt: s.now.AddDate(-1, 0, 0)}},
		Webhooks: []signer.Webhook{
			{ID: "w1", URL: "https://sede.valdehierro.example.es/avisos"},
			{ID: "w2", URL: "https://antigua.valdehierro.example.es/avisos", StoppedAt: s.now.AddDate(0, 0, -3)},
		},
		Enabled: true, CreatedAt: s.now.AddDate(-2, 0, 10),
	}
}

// deskApplications invents the pages of applications.
func (s *sampler) deskApplications() {
	whole := s.sampleClient()
	bare := signer.RegisteredClient{
		ID: "oficina7", Name: "Oficina de registro", Organisation: "Diputación", Scopes: []string{"registration"},
		CreatedAt: s.now.Add(-time.Hour),
	}
	s.add("varias", &DeskApplications{Desk: sampleCounter("applications"), AddURL: "#main", Applications: []DeskApplicationRow{{whole, "#main"}, {bare, "#main"}}})
	s.add("ninguna", &DeskApplications{Desk: sampleCounter("applications"), AddURL: "#main"})
	s.newApplications(whole)
	show := func(state string, r signer.RegisteredClient, done citizen.ApplicationAspect) {
		view := newDeskApplication(r, s.now)
		view.Desk, view.Done = sampleCounter("applications"), string(done)
		s.add(state, view.tame())
	}
	rotated := whole
	rotated.Switches = []string{signer.SwitchSecret}
	rotated.SecretHash, rotated.FormerSecretHash, rotated.FormerSecretUntil = make([]byte, sha256.Size), make([]byte, sha256.Size), s.now.AddDate(0, 0, 7)
	show("rotada", rotated, "")
	show("completa", whole, "")
	show("hecho", whole, citizen.KeyAdded)
	show("desactivada", bare, citizen.ApplicationDisabled)
	for _, x := range remakes() {
		view := newDeskChange(whole, x)
		view.Desk, view.SubmitURL, view.BackURL = sampleCounter("applications"), "#main", "#main"
		switch {
		case view.Switch:
			view.About = signer.SwitchNoPAR
		case x.about:
			view.About = whole.Keys[0].ID
		}
		view.Named = view.About
		s.change(x.slug, view, x)
	}
	wrong, _ := remakeAt("clave")
	view := newDeskChange(whole, wrong)
	view.Desk, view.SubmitURL, view.BackURL = sampleCounter("applications"), "#main", "#main"
	view.Fail(deskFieldKey, policies.Refuse(policies.QueryInvalid, "reason", "client_key"))
	view.Fail(deskFieldUntil, policies.Refuse(policies.QueryInvalid, "reason", "key_span"))
	s.change("clave-errores", view, wrong)
	wrong, _ = remakeAt("secreto")
	view = newDeskChange(whole, wrong)
	view.Desk, view.SubmitURL, view.BackURL = sampleCounter("applications"), "#main", "#main"
	view.Fail(deskFieldFormer, policies.Refuse(policies.QueryInvalid, "reason", "secret_span"))
	s.change("secreto-errores", view, wrong)
}

// newApplications invents the pages of one that is being registered.
func (s *sampler) newApplications(whole signer.RegisteredClient) {
	register := func(state string, form DeskApplicationForm, problems ...Problem) {
		view := newDeskNewApplication(sampleCounter("applications"), form)
		view.SubmitURL, view.BackURL, view.Problems = "#main", "#main", problems
		view.Scopes.Problem = view.Problem(deskFieldScopes)
		s.add(state, view)
	}
	register("nueva", DeskApplicationForm{Client: whole.ID, Scopes: whole.Scopes[:1], Proof: proofKey, Reason: sampleReason})
	wrong := func(field, reason string) Problem {
		return Problem{field, policies.Refuse(policies.QueryInvalid, "reason", reason)}
	}
	register("errores", DeskApplicationForm{
		Client: whole.ID, Contact: "sistemas\u202e", Returns: "sede.valdehierro.example.es", Proof: proofCertificate, Paper: "-----BEGIN PUBLIC KEY-----", Reason: "ver",
	}, wrong(deskFieldApplication, "application_name"), wrong(deskFieldOrganisation, "application_organisation"), wrong(deskFieldContact, "contact"),
		wrong(deskFieldReturns, "return_address"), wrong(deskFieldProof, "client_proof"), wrong(deskFieldPaper, "client_certificate"), wrong(deskFieldScopes, "scopes"),
		Problem{deskFieldReason, policies.Refuse(policies.ReasonMissing)})
	register("clave-privada", DeskApplicationForm{Client: whole.ID, Proof: proofKey, Reason: sampleReason}, wrong(deskFieldPaper, "private_key"))
	form := DeskApplicationForm{
		Client: whole.ID, Name: whole.Name, Organisation: whole.Organisation, Contact: whole.Contact, Scopes: whole.Scopes, Returns: whole.ReturnAddresses[0], Proof: proofSecret, Reason: sampleReason,
	}
	register("repetida", form, wrong("", "application_known"))
	s.add("una-vez", &DeskSecret{
		Desk: sampleCounter("applications"), Name: whole.Name, Client: whole.ID, Secret: strings.Repeat("HWs0mrnYTz3", 4)[1:], HomeURL: "#main",
	})
}

func (s *sampler) change(state string, view *DeskChange, x remake) {
	typed := map[string]string{
		deskFieldReason: sampleReason, deskFieldContact: view.App.Contact, deskFieldCalls: "20", deskFieldFrom: "2026-11-21", deskFieldUntil: "2028-11-21",
	}
	if err := view.fill(x, func(name string) string { return typed[name] }); err != nil {
		panic(err) // a change with a field that there is none of
	}
	view.choose(asItIs(view.App))
	s.add(state, view)
}

// tame leads every way of a sample to the sample.
func (v *DeskApplication) tame() *DeskApplication {
	for _, address := range []*string{
		&v.ContactURL, &v.ScopesURL, &v.LimitsURL, &v.KeyURL, &v.CertificateURL, &v.SecretURL, &v.ReturnURL, &v.WebhookURL, &v.DisableURL, &v.EnableURL, &v.BackURL,
	} {
		if *address != "" {
			*address = "#main"
		}
	}
	for i := range v.Keys {
		v.Keys[i].UntilURL, v.Keys[i].RemoveURL = "#main", "#main"
	}
	for i := range v.Certificates {
		v.Certificates[i].UntilURL, v.Certificates[i].RemoveURL = "#main", "#main"
	}
	for i := range v.Returns {
		v.Returns[i].RemoveURL = "#main"
	}
	for i := range v.Webhooks {
		v.Webhooks[i].RemoveURL = "#main"
	}
	for i := range v.Switches {
		v.Switches[i].URL = "#main"
	}
	return v
}
