package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// my invents the citizen's own pages.
func (s *sampler) my() {
	entry := func(state string, view MyEntry, problems ...Problem) {
		view.Problems, view.SubmitURL, view.ForgottenURL, view.ActivateURL = problems, "#main", "#main", "#main"
		s.add(state, &view)
	}
	entry("sola", MyEntry{})
	entry("vias", MyEntry{Ways: []Way{{"certificate", "#main"}, {"pin", "#main"}, {"card", "#main"}}})
	entry("para-cambiar", MyEntry{Identifier: "12345678Z", Password: true}, Problem{"", policies.Refuse(policies.CredentialsWrong, "tries", "3")})
	s.myHome()
	s.mySignatures()
	s.myProfile()
	s.myActs()
	s.myIncidents()
	s.myRegistration()
	s.add("vacia", &MyData{Page: sampleOwn("data"), DownloadURL: "#main", DepartureURL: "#main", ProfileURL: "#main"})
	s.add("nueva", &MyData{
		Page: sampleOwn("data"), Organisations: []string{"Ayuntamiento de Gijón", "Junta de Andalucía"}, DownloadURL: "#main", DepartureURL: "#main", ProfileURL: "#main",
	})
	for _, act := range []MyAct{ActEmail, ActPassword} {
		s.add(string(act), &FollowLink{Act: act, ExpiresAt: s.now.Add(20 * time.Minute), Secret: "0000", SubmitURL: "#main"})
		s.add(string(act), &LinkFollowed{Act: act, HomeURL: "#main"})
	}
	s.add("password", &LinkMailed{Act: ActPassword, Life: time.Hour, HomeURL: "#main"})
	s.add("email", &LinkMailed{Page: sampleOwn("profile"), Act: ActEmail, Life: 90 * time.Minute, HomeURL: "#main"})
	s.add("sin-plazo", &LinkMailed{Act: ActPassword, HomeURL: "#main"})
}

// sampleOwn is an own page of somebody who has come in with the password.
func sampleOwn(here string, problems ...Problem) Page {
	head := &OwnHead{Signer: sampleSigner(), Via: signer.ViaPassword, LeaveURL: "#main"}
	for _, name := range []string{"home", "signatures", "profile", "registration", "data"} {
		head.Links = append(head.Links, OwnLink{Name: name, URL: "#main", Current: name == here})
	}
	return Page{Own: head, Problems: problems}
}

func (s *sampler) myRows() []MySignature {
	row := func(title string, state signer.State, days, documents int) MySignature {
		return MySignature{
			Title: title, Organisation: "Ayuntamiento de Gijón", Application: "Sede electrónica", State: state,
			At: s.now.AddDate(0, 0, -days), Documents: documents, URL: "#main",
		}
	}
	return []MySignature{
		row("Solicitud de ayuda a la rehabilitación", signer.Pending, 0, 3), row("Declaración jurada", signer.Signed, 2, 1),
		row("Recurso de reposición", signer.Refused, 40, 1), row("Acta de la reunión de vecinos", signer.Expired, 70, 2),
		row("Acuerdo de la junta", signer.Withdrawn, 71, 1), row("Contrato menor de suministro de material de oficina", signer.Signing, 71, 1),
	}
}

func (s *sampler) myHome() {
	home := func(state string, via signer.Via, view MyHome) {
		view.Page = sampleOwn("home")
		view.Own.Via = via
		view.SignaturesURL, view.CertificateURL, view.RegistrationURL, view.IncidentURL = "#main", "#main", "#main", "#main"
		view.IncidentsURL, view.ProfileURL, view.DataURL, view.ApplicationsURL = "#main", "#main", "#main", "#main"
		s.add(state, &view)
	}
	home("nueva", signer.ViaPassword, MyHome{State: NoCertificate})
	home("en-vigor", signer.ViaPassword, MyHome{State: InForce, Until: s.now.AddDate(3, 0, 0), Latest: s.myRows()[:3]})
	home("aviso", signer.ViaPIN, MyHome{State: CertificateSuspended, Until: s.now.AddDate(3, 0, 0), Latest: s.myRows()[1:2], Open: 1})
	home("avisos", signer.ViaCard, MyHome{State: CertificateRevoked, Until: s.now.AddDate(3, 0, 0), Open: 2})
	home("caducado", signer.ViaCertificate, MyHome{State: CertificateExpired, Until: s.now.AddDate(0, -1, 0)})
	home("acaba", signer.ViaPassword, MyHome{State: Ending, Until: s.now.AddDate(0, 1, 0)})
}

func (s *sampler) mySignatures() {
	list := func(state string, page Page, view MySignatures) {
		view.Page, view.States, view.SubmitURL, view.AllURL, view.IncidentURL = page, myStates(), "#main", "#main", "#main"
		view.Applications = []Choice{{"sede", "Ayuntamiento de Gijón · Sede electrónica"}}
		s.add(state, &view)
	}
	list("ninguna", sampleOwn("signatures"), MySignatures{})
	list("varias", sampleOwn("signatures"), MySignatures{Rows: s.myRows(), NextURL: "#main"})
	list("filtradas", sampleOwn("signatures"), MySignatures{Rows: s.myRows()[1:2], State: "signed", From: "2026-01-01", Filtered: true, Later: true, FirstURL: "#main"})
	list("sin-resultado", sampleOwn("signatures"), MySignatures{State: "refused", Asker: "sede", Filtered: true})
	list("fecha", sampleOwn("signatures", Problem{"desde", policies.Refuse(policies.RequestMalformed, "field", "desde")}), MySignatures{From: "31-31-2026"})

	detail := func(state string, is signer.State, view MySignatureDetail) {
		view.Page, view.Title, view.Organisation, view.Application = sampleOwn("signatures"), "Solicitud de ayuda", "Ayuntamiento de Gijón", "Sede electrónica"
		view.ID, view.State, view.Documents, view.IncidentURL, view.BackURL = "PETICION-1", is, s.documents(2), "#main", "#main"
		view.Steps = append([]MyStep{{Name: "asked", At: s.now.Add(-time.Hour)}}, view.Steps...)
		s.add(state, &view)
	}
	consented := MyStep{Name: "consented", At: s.now.Add(-2 * time.Minute), Seq: 1204, Phone: "··· ··· 421"}
	detail("firmada", signer.Signed, MySignatureDetail{
		Reference: "K7QF", EvidenceURL: "#main", ReceiptURL: "#main", FileName: "PETICION-1.rubrica-receipt.json",
		Steps: []MyStep{consented, {Name: "signed", Result: "succeeded", At: s.now.Add(-time.Minute), Seq: 1206}},
	})
	detail("guardada", signer.Signed, MySignatureDetail{
		Reference: "K7QF", EvidenceURL: "#main", ReceiptURL: "#main", FileName: "PETICION-1.rubrica-receipt.json", Kept: true, KeptUntil: s.now.AddDate(0, 0, 7),
		Steps: []MyStep{consented, {Name: "signed", Result: "succeeded", At: s.now.Add(-time.Minute), Seq: 1206}},
	})
	detail("pendiente", signer.Pending, MySignatureDetail{ContinueURL: "#main", Steps: []MyStep{{Name: "waits", At: s.now.AddDate(0, 0, 7)}}})
	detail("rechazada", signer.Refused, MySignatureDetail{Steps: []MyStep{{Name: "refused", Result: "refused", At: s.now}}})
	detail("caducada", signer.Expired, MySignatureDetail{Steps: []MyStep{{Name: "expired", Result: "expired", At: s.now}}})
	detail("firmando", signer.Signing, MySignatureDetail{Steps: []MyStep{consented}})
}

func (s *sampler) myCertificate(expired bool) *MyCertificate {
	c := &MyCertificate{
		Subject: "CN=NUÑEZ PEREZ ANA - 12345678Z, C=ES", Issuer: "CN=AC FNMT Usuarios, O=FNMT-RCM, C=ES",
		Serial: "5f3a91c05be2d84417aa0c9f63b1e58d", Until: s.now.AddDate(2, 0, 0),
	}
	if expired {
		c.Until, c.Expired = s.now.AddDate(0, -1, 0), true
	}
	return c
}

func (s *sampler) myProfile() {
	profile := func(state string, change func(*MyProfile)) {
		p := &MyProfile{
			Page: sampleOwn("profile"), Name: "ANA NÚÑEZ PÉREZ", Identifier: "12345678Z", DocumentUntil: s.now.AddDate(4, 0, 0), Phone: "··· ··· 421",
			Email: "ana@example.es", Notices: signer.NoticesMail, PasswordAt: s.now.AddDate(0, -3, 0), Changes: true,
			EmailURL: "#main", PasswordURL: "#main", ForgottenURL: "#main", NoticesURL: "#main", LeaveAllURL: "#main", AssociateURL: "#main", DepartureURL: "#main", IdentifyURL: "#main",
		}
		change(p)
		s.add(state, p)
	}
	profile("nueva", func(*MyProfile) {})
	profile("certificado", func(p *MyProfile) {
		p.Associated, p.Notices, p.PhoneURL = s.myCertificate(false), signer.NoticesBoth, "#main"
	})
	profile("mirar", func(p *MyProfile) {
		p.Changes, p.Associated, p.PasswordAt, p.Own.Via = false, s.myCertificate(true), time.Time{}, signer.ViaCertificate
	})
	association := func(state string, view MyAssociation) {
		view.Page, view.Tail, view.SubmitURL, view.BackURL = sampleOwn("profile"), "421", "#main", "#main"
		s.add(state, &view)
	}
	association("ninguno", MyAssociation{ShowURL: "#main"})
	association("mostrado", MyAssociation{Shown: true, ShowURL: "#main"})
	association("asociado", MyAssociation{Certificate: s.myCertificate(false)})
	association("caducado", MyAssociation{Certificate: s.myCertificate(true)})
	for _, chosen := range allNotices() {
		s.add(string(chosen), &MyNotices{Page: sampleOwn("profile"), Chosen: chosen, Choices: allNotices(), SubmitURL: "#main", BackURL: "#main"})
	}
}

func (s *sampler) myActs() {
	email := func(state, typed string, problems ...Problem) {
		s.add(state, &MyEmail{Page: sampleOwn("profile", problems...), Present: "ana@example.es", Typed: typed, Tail: "421", SubmitURL: "#main", BackURL: "#main"})
	}
	email("nueva", "")
	email("mal", "ana@", Problem{FieldNewEmail, policies.Refuse(policies.EmailInvalid)})
	departure := func(state string, view MyDeparture) {
		view.Page, view.Tail, view.SubmitURL, view.BackURL = sampleOwn("profile"), "421", "#main", "#main"
		s.add(state, &view)
	}
	departure("certificado", MyDeparture{State: InForce, Until: s.now.AddDate(3, 0, 0), Waiting: 1})
	departure("sin-certificado", MyDeparture{State: NoCertificate, Waiting: 2})
	for _, act := range []MyAct{ActDeparture, ActEmail, ActAssociate, ActDissociate} {
		s.add(string(act), &MyCode{Page: sampleOwn("profile"), CodeSent: s.codeSent(), Act: act, SubmitURL: "#main", BackURL: "#main"})
	}
	s.add("codigo", &MyCode{Page: sampleOwn("profile", wrongCode()), CodeSent: s.codeSent(), Act: ActDeparture, SubmitURL: "#main", BackURL: "#main"})
	s.add("sin-enviar", &MyCode{
		Page: sampleOwn("profile", Problem{"", policies.Refuse(policies.SMSFailed)}), Tail: "421", AgainURL: "#main", Act: ActEmail, BackURL: "#main",
	})
	for _, act := range []MyAct{ActAssociate, ActDissociate, ActNotices} {
		s.add(string(act), &MyDone{Page: sampleOwn("profile"), Act: act, HomeURL: "#main"})
	}
	s.add("departure", &MyDone{Act: ActDeparture, At: s.now, HomeURL: "#main"})
}

func (s *sampler) myIncidents() {
	row := s.myRows()[1]
	ask := func(state string, view MyIncident, problems ...Problem) {
		view.Page, view.SubmitURL, view.BackURL = sampleOwn("signatures", problems...), "#main", "#main"
		s.add(state, &view)
	}
	ask("firma", MyIncident{Signature: &row, ID: "PETICION-1", Certified: true})
	ask("general", MyIncident{})
	ask("largo", MyIncident{Said: "Ayer perdí el móvil.", Certified: true}, Problem{FieldSaid, policies.Refuse(policies.RequestMalformed, "field", "said")})
	opened := MyIncidentRow{ID: "AVISO1", Title: row.Title, URL: "#main", Said: "No estaba en casa.\nNo conozco ese trámite.", OpenedAt: s.now}
	closed := MyIncidentRow{ID: "AVISO2", OpenedAt: s.now.AddDate(0, -2, 0), ClosedAt: s.now.AddDate(0, -2, 3), Outcome: "La persona recordó el trámite."}
	list := func(state string, view MyIncidents) {
		view.Page, view.CertificateURL, view.BackURL = sampleOwn("signatures"), "#main", "#main"
		s.add(state, &view)
	}
	list("ninguno", MyIncidents{})
	list("nuevo", MyIncidents{New: true, Rows: []MyIncidentRow{opened}})
	list("varios", MyIncidents{Rows: []MyIncidentRow{opened, closed}})
	s.myApplications()
}

func (s *sampler) myApplications() {
	row := MyApplication{
		Name: "Sede electrónica", Organisation: "Ayuntamiento de Gijón", GivenAt: s.now.AddDate(0, 0, -3), Until: s.now.AddDate(0, 0, 27), WithdrawURL: "#main",
	}
	list := func(state string, view MyApplications) {
		view.Page, view.BackURL = sampleOwn("home"), "#main"
		s.add(state, &view)
	}
	list("ninguna", MyApplications{})
	list("varias", MyApplications{Rows: []MyApplication{row, {Name: "Portafirmas", Organisation: "Principado de Asturias", GivenAt: s.now, Until: s.now.AddDate(0, 0, 30), WithdrawURL: "#main"}}})
	list("retirada", MyApplications{Withdrawn: true})
	s.add("preguntar", &MyWithdrawal{Page: sampleOwn("home"), Application: row, SubmitURL: "#main", BackURL: "#main"})
}

func (s *sampler) myRegistration() {
	registration := func(state string, view MyRegistration) {
		view.Page, view.Years = sampleOwn("registration"), 5
		s.add(state, &view)
	}
	recent, old := s.now.AddDate(-1, 0, 0), s.now.AddDate(-6, 0, 0)
	registration("avanzado", MyRegistration{
		Mode: "office", Level: "advanced", AssuredAt: recent, Until: s.now.AddDate(4, 0, 0), Enough: true, Reading: policies.ReadingStrict,
		History: []OwnRegistration{{Mode: "office", AssuredAt: recent}, {Mode: "dnie", AssuredAt: old}}, RenewURL: "#main", OfficeURL: "#main",
	})
	registration("antiguo", MyRegistration{
		Mode: "video", Level: "advanced", AssuredAt: old, Until: s.now.AddDate(-1, 0, 0), TooOld: true, Reading: policies.ReadingAge,
		Obstacles: []*policies.Refusal{policies.Refuse(policies.RegistrationTooOld, "since", "2020-11-21", "years", "5")}, RenewURL: "#main",
	})
	registration("basico", MyRegistration{
		Mode: "letter", Level: "basic", AssuredAt: recent, Reading: policies.ReadingStrict,
		Obstacles: []*policies.Refusal{policies.Refuse(policies.RegistrationLevel)},
	})
}
