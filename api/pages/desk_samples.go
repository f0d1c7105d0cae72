package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// desk invents the officers' pages.
func (s *sampler) desk() {
	s.deskDoor()
	s.deskSearch()
	s.deskFile()
	s.deskRegister()
	s.deskActs()
	s.deskReceipts()
	s.deskOrders()
	s.deskQueues()
	s.deskPeople()
	s.deskApplications()
}

const sampleReason = "Cita 2026/4410, mostrador 3"

func sampleCounter(here string) *Desk {
	head := &Desk{Words: deskWords, Name: "Rosa Gil Mas", Role: desk.RoleSupervisor, By: "certificate", Purpose: sampleReason}
	return newDeskHead(head, here, citizen.Queues{Orders: 1, Videos: 3, Incidents: 2}, true)
}

// DeskFields are fields of the desk's forms: of each kind one, and one that is
// wrong.
func (c *Components) DeskFields() (fields []DeskField, err error) {
	page := &Page{Problems: []Problem{{deskFieldPassport, policies.Refuse(policies.IdentifierInvalid, "reason", "passport")}}}
	for _, f := range []struct{ name, value string }{
		{deskFieldDocument, string(desk.Passport)}, {deskFieldPassport, "AB12"}, {deskFieldDocumentUntil, "2031-05-31"}, {deskFieldUndocumented, "1"},
	} {
		field, err := newDeskField(page, f.name, f.value)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	return fields, nil
}

// Statuses are those of a registration, CertificateStates those of a certificate.
func (c *Components) Statuses() []string {
	return []string{"active", "registered", "blocked", "deregistered", "deceased"}
}

// CertificateStates are how a certificate stands.
func (c *Components) CertificateStates() []string {
	return []string{"valid", "suspended", "revoked", "expired"}
}

// Somebody is whom an act is about.
func (c *Components) Somebody() DeskPerson {
	return DeskPerson{Name: "Ana Núñez Pérez", Identifier: "12345678Z", Status: "active", Phone: "+34600000421", Email: "ana@example.es", DocumentUntil: time.Date(2031, 5, 31, 0, 0, 0, 0, time.UTC)}
}

func (s *sampler) deskDoor() {
	empty := &Desk{Words: deskWords}
	s.add("con-certificado", &DeskLogin{Desk: empty, Certificate: true, CertificateURL: "#main"})
	s.add("sin-certificado", &DeskLogin{Desk: empty, CertificateURL: "#main"})
	s.add("acabada", &DeskLogin{Desk: empty, Certificate: true, CertificateURL: "#main", Ended: true})
	s.add("rechazada", &DeskLogin{Desk: empty, Certificate: true, CertificateURL: "#main", Problems: []Problem{{"", policies.Refuse(policies.OfficerRefused)}}})
	s.add("nueva", &DeskInvited{Desk: empty})
	s.add("nuevo", &DeskReason{Desk: sampleCounter(""), SubmitURL: "#main", BackURL: "#main"})
	s.add("corto", &DeskReason{
		Desk: sampleCounter(""), Reason: "ver", SubmitURL: "#main", BackURL: "#main", Problems: []Problem{{deskFieldReason, policies.Refuse(policies.ReasonMissing)}},
	})
}

func (s *sampler) deskSearch() {
	search := func(state, asked, reason string, found *DeskFound, problems ...Problem) {
		s.add(state, &DeskSearch{Desk: sampleCounter("search"), Asked: asked, Reason: reason, SubmitURL: "#main", Found: found, Problems: problems})
	}
	search("nueva", "", "", nil)
	search("errores", "12345678A", "ver", nil,
		Problem{deskFieldAsked, policies.Refuse(policies.IdentifierInvalid)}, Problem{deskFieldReason, policies.Refuse(policies.ReasonMissing)})
	search("corta", "N", sampleReason, nil, Problem{deskFieldAsked, policies.Refuse(policies.QueryInvalid, "reason", "name_short")})
	search("nadie", "12345678Z", sampleReason, &DeskFound{RegisterURL: "#main", Identifier: "12345678Z", DeathURL: "#main"})
	var matches []DeskMatch
	for _, m := range []citizen.Match{
		{ID: "1", Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez", Status: signer.Active},
		{ID: "2", Identifier: "X1234567L", GivenName: "Blanca", Surnames: "Núñez Pérez", Status: signer.Registered},
		{ID: "3", Identifier: "00000014Z", GivenName: "Carlos", Surnames: "Núñez Soto", Status: signer.Blocked},
		{ID: "4", Identifier: "00000000T", GivenName: "Dolores", Surnames: "Núñez Vega", Status: signer.Deregistered},
	} {
		matches = append(matches, DeskMatch{m, "#main"})
	}
	search("varios", "Núñez", sampleReason, &DeskFound{Matches: matches, More: true})
}

// samplePerson is registered and has a certificate.
func (s *sampler) samplePerson() citizen.File {
	return citizen.File{
		ID: "P7Q2M4XKJ5TS3A6B", Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez", Phone: "+34600000421", Email: "ana@example.es", Locale: "es",
		Status: signer.Active, DocumentUntil: s.now.AddDate(3, 0, 0),
		Registration: signer.Registration{Mode: string(policies.ModeOffice), Level: string(policies.LevelAdvanced), Office: "Oficina central", Officer: "Rosa Gil Mas", AssuredAt: s.now.AddDate(-2, 0, 0)},
		Password:     s.now.AddDate(-1, 0, 0),
		Issued: []citizen.Issued{
			{Serial: sampleSerial, NotBefore: s.now.AddDate(-1, 0, 0), NotAfter: s.now.AddDate(3, 0, 0), Live: true},
		},
	}
}

func (s *sampler) deskFile() {
	file := func(state string, change func(*citizen.File), view func(*DeskFile)) {
		f := s.samplePerson()
		change(&f)
		f.Proofs = append([]citizen.Proof{{Registration: f.Registration}}, f.Proofs...)
		v := newDeskFile(desk.File{File: f, Report: policies.Preflight(f.Facts(s.now), policies.DefaultRules())})
		v.Desk, v.Now = sampleCounter("search"), s.now
		for _, list := range [][]DeskDeed{v.Acts, v.Endings} {
			for i := range list {
				list[i].URL = "#main"
			}
		}
		if v.AgainURL != "" {
			v.AgainURL = "#main"
		}
		view(v)
		s.add(state, v)
	}
	plain := func(*DeskFile) {}
	past := func(v *DeskFile) {
		for i, t := range []audit.EventType{audit.DeskLookedUp, audit.PhoneChanged, audit.RegistrationCreated} {
			v.Past = append(v.Past, DeskPast{Type: t, At: s.now.Add(-time.Duration(i) * 90 * time.Hour), Officer: "Rosa Gil Mas", Reason: sampleReason})
		}
	}
	file("activa", func(*citizen.File) {}, past)
	file("sin-registro", func(f *citizen.File) {
		*f = citizen.File{ID: f.ID, Identifier: f.Identifier, Status: signer.Deceased}
	}, plain)
	file("hecho", func(*citizen.File) {}, func(v *DeskFile) { v.Done = string(citizen.ActChangeEmail) })
	file("sin-activar", func(f *citizen.File) { f.Status, f.Password, f.Issued = signer.Registered, time.Time{}, nil }, plain)
	file("bloqueada", func(f *citizen.File) {
		f.Status, f.PhoneChangedAt = signer.Blocked, s.now.Add(-time.Hour)
	}, plain)
	file("antigua", func(f *citizen.File) {
		f.Registration.AssuredAt = s.now.AddDate(-6, 0, 0)
		f.Issued[0].RevokedAt, f.Issued[0].Reason = s.now.AddDate(0, -1, 0), citizen.Unspecified
		f.Issued = append(f.Issued, citizen.Issued{Serial: "0b", NotBefore: s.now.AddDate(-6, 0, 0), NotAfter: s.now.AddDate(-2, 0, 0)})
	}, plain)
	file("con-certificado", func(f *citizen.File) {
		f.Registration.Mode = string(policies.ModeCertificate)
		f.Proofs = []citizen.Proof{{Mode: string(policies.ModeLetter), Level: string(policies.LevelBasic), Office: "rubrica", AssuredAt: s.now.AddDate(-3, 0, 0)}}
	}, plain)
	file("incidencia", func(f *citizen.File) {
		f.Issued[0].RevokedAt, f.Issued[0].Reason = s.now.Add(-time.Hour), citizen.CertificateHold
		f.Incidents = []citizen.Case{
			{ID: "1", Said: "No pedí esa firma.", OpenedAt: s.now.Add(-time.Hour)},
			{ID: "2", Said: "No conozco esa sede.", OpenedAt: s.now.AddDate(0, -3, 0), ClosedAt: s.now.AddDate(0, -3, 2), Outcome: "Era suya: la firmó con su hijo delante."},
		}
		f.Orders = []citizen.DeskOrder{{Act: citizen.ActChangePhone, AskedName: "Luis Vega Mora", ExpiresAt: s.now.Add(3 * time.Hour)}}
	}, plain)
	file("de-baja", func(f *citizen.File) {
		f.Status, f.Password, f.Issued[0].Live = signer.Deregistered, time.Time{}, false
	}, plain)
}

func (s *sampler) deskRegister() {
	register := func(state string, form DeskForm, problems ...Problem) {
		s.add(state, &DeskRegister{Desk: sampleCounter("register"), Form: form, SubmitURL: "#main", Problems: problems})
	}
	register("nueva", DeskForm{Document: "dni", Locale: "es"})
	register("conocido", DeskForm{Document: "nie", Identifier: "X1234567L", Locale: "ca"})
	form := DeskForm{
		Document: "passport", Passport: "AB12", Identifier: "12345678A", GivenName: "4na", Surnames: "Núñez", Phone: "910000000", Email: "ana", DocumentUntil: "2020-01-01", Locale: "es", Reason: "ver",
	}
	register("errores", form,
		Problem{deskFieldDNI, policies.Refuse(policies.IdentifierInvalid)},
		Problem{deskFieldPassport, policies.Refuse(policies.IdentifierInvalid, "reason", "passport")},
		Problem{deskFieldDocument, policies.Refuse(policies.IdentifierInvalid, "reason", "document")},
		Problem{deskFieldGivenName, policies.Refuse(policies.NameInvalid)},
		Problem{deskFieldSurnames, policies.Refuse(policies.NameInvalid)},
		Problem{deskFieldPhone, policies.Refuse(policies.PhoneInvalid)},
		Problem{deskFieldMail, policies.Refuse(policies.EmailInvalid)},
		Problem{deskFieldDocumentUntil, policies.Refuse(policies.IdentityDocumentExpiry, "until", "2020-01-01")},
		Problem{deskFieldReason, policies.Refuse(policies.ReasonMissing)},
	)
	form.Identifier, form.Phone = "12345678Z", "612345678"
	register("existe", form, Problem{deskFieldDNI, policies.Refuse(policies.CitizenExists)})
	register("movil", form, Problem{deskFieldPhone, policies.Refuse(policies.PhoneTaken)})
}

func (s *sampler) deskActs() {
	act := func(x deed, state string, value string, problems ...Problem) {
		f := s.samplePerson()
		view := &DeskAct{
			Desk: sampleCounter("search"), Act: string(x.kind), Person: deskPerson(f.Citizen), Certified: x.danger, Danger: x.danger, Hours: 72, SubmitURL: "#main", BackURL: "#main", Problems: problems,
		}
		if x.kind == citizen.ActCloseIncident {
			view.Case = &citizen.Case{Said: "No pedí esa firma.", OpenedAt: s.now.Add(-time.Hour)}
		}
		if err := view.fill(x, func(name string) string {
			if name == deskFieldReason {
				return sampleReason
			}
			return value
		}); err != nil {
			panic(err) // an act with a field that there is none of
		}
		s.add(state, view)
	}
	for _, x := range deeds() {
		act(x, x.slug, "")
	}
	phone, _ := deedAt("movil")
	act(phone, "movil-de-otra", "612345678", Problem{deskFieldPhone, policies.Refuse(policies.PhoneTaken)})
	block, _ := deedAt("bloquear")
	act(block, "ya-no", "", Problem{"", policies.Refuse(policies.CitizenInactive)})

	words, death := strangersDeath()
	view := &DeskAct{Desk: sampleCounter("search"), Act: words, Danger: true, SubmitURL: "#main", BackURL: "#main"}
	if err := view.fill(death, func(name string) string {
		return map[string]string{deskFieldDNI: "12345678Z", deskFieldReason: sampleReason}[name]
	}); err != nil {
		panic(err)
	}
	s.add("sin-ficha", view)
}

func (s *sampler) deskReceipts() {
	receipt := func(kind ReceiptKind, code string) {
		s.add(string(kind), &DeskReceipt{Desk: sampleCounter(""), Receipt: s.sampleReceipt(kind, code), Sealed: "0000", PDFURL: "#main", HomeURL: "#main"})
	}
	receipt(ReceiptRegistered, "K7QF-2M4X-J5TS-3A6B")
	receipt(ReceiptActivation, "3QKX-7M2P-QF2M-4XJ5")
	receipt(ReceiptRenewed, "")
}

func (s *sampler) sampleReceipt(kind ReceiptKind, code string) RegistrationReceipt {
	f := s.samplePerson()
	return RegistrationReceipt{
		Kind: kind, Name: "Ana Núñez Pérez", Identifier: f.Identifier, Phone: f.Phone, Email: f.Email, DocumentUntil: f.DocumentUntil,
		Mode: string(policies.ModeOffice), Level: string(policies.LevelAdvanced), AssuredAt: s.now, Office: "Oficina central", Officer: "Rosa Gil Mas", IssuedAt: s.now,
		ActivationCode: code, ServiceURL: "https://firma.example.es",
	}
}

func (s *sampler) deskOrders() {
	s.add("nueva", &DeskMass{Desk: sampleCounter("mass"), Limit: 500, SubmitURL: "#main"})
	s.add("errores", &DeskMass{
		Desk: sampleCounter("mass"), List: "12345678Z\n12345678A", CRLReason: "key_compromise", Limit: 500, SubmitURL: "#main",
		Problems: []Problem{{deskFieldList, policies.Refuse(policies.QueryInvalid, "reason", "list", "text", "12345678A")}, {deskFieldReason, policies.Refuse(policies.ReasonMissing)}},
	})
	s.add("vacia", &DeskMass{
		Desk: sampleCounter("mass"), Limit: 500, Reason: sampleReason, SubmitURL: "#main",
		Problems: []Problem{{deskFieldList, policies.Refuse(policies.QueryInvalid, "reason", "list_size")}},
	})
	phone := citizen.DeskOrder{
		ID: "A", Act: citizen.ActChangePhone, Identifiers: []string{"12345678Z"}, Phone: "+34612345678", Reason: "Robo de la cartera, denuncia 881/26", AskedBy: "luis", AskedName: "Luis Vega Mora",
		AskedAt: s.now.Add(-time.Hour), ExpiresAt: s.now.Add(7 * time.Hour), State: citizen.OrderWaiting,
	}
	mass := citizen.DeskOrder{
		ID: "B", Act: citizen.ActMassRevocation, Identifiers: []string{"12345678Z", "X1234567L", "00000014Z"}, CRLWord: "key_compromise", Reason: "Incidente 2026-07", AskedBy: "luis",
		AskedName: "Luis Vega Mora", AskedAt: s.now.Add(-2 * time.Hour), ExpiresAt: s.now.Add(6 * time.Hour), State: citizen.OrderConfirmed, DecidedBy: "rosa", DecidedName: "Rosa Gil Mas",
		DecidedAt: s.now.Add(-time.Hour), Outcome: map[string]string{"12345678Z": citizen.Done, "X1234567L": string(policies.CredentialMissing)},
	}
	rejected := phone
	rejected.State, rejected.DecidedName, rejected.DecidedAt = citizen.OrderRejected, "Rosa Gil Mas", s.now
	s.add("varias", &DeskOrders{Desk: sampleCounter("orders"), Orders: []DeskOrderRow{{phone, "#main"}, {mass, "#main"}, {rejected, "#main"}}})
	s.add("ninguna", &DeskOrders{Desk: sampleCounter("orders")})
	order := func(state string, o citizen.DeskOrder, reader string, asked bool) {
		view := newDeskOrder(o, desk.Officer{ID: reader, Role: desk.RoleSupervisor}, s.now)
		view.Desk, view.Asked = sampleCounter("orders"), asked
		for _, address := range []*string{&view.ConfirmURL, &view.GoOnURL, &view.RejectURL, &view.BackURL} {
			if *address != "" {
				*address = "#main"
			}
		}
		s.add(state, view)
	}
	order("por-confirmar", phone, "rosa", false)
	order("propia", phone, "luis", true)
	order("a-medias", mass, "rosa", false)
	order("rechazada", rejected, "rosa", false)
}

func (s *sampler) deskQueues() {
	video := citizen.Video{
		ID: "V", ProviderName: "Vídeo Identidad, S. L.", ReceivedAt: s.now.Add(-3 * time.Hour), State: citizen.VideoPending,
		Person: citizen.VideoPerson{Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez", Phone: "+34600000421", Email: "ana@example.es", DocumentUntil: "2029-05-31"},
		Evidence: citizen.VideoEvidence{
			Recording: "rec-2026-11-21-000441", SHA256: sampleHash, RecordedAt: s.now.Add(-4 * time.Hour), URL: "https://video.example.es/rec-2026-11-21-000441",
			Checks: map[string]string{"liveness": "passed", "document": "passed"},
		},
	}
	s.add("varios", &DeskVideos{Desk: sampleCounter("videos"), Videos: []DeskVideoRow{{video, "#main"}}})
	s.add("ninguno", &DeskVideos{Desk: sampleCounter("videos")})
	show := func(state string, v citizen.Video, problems ...Problem) {
		view := newDeskVideo(v)
		view.Desk, view.Problems, view.BackURL = sampleCounter("videos"), problems, "#main"
		if view.ApproveURL != "" {
			view.ApproveURL, view.RejectURL = "#main", "#main"
		}
		s.add(state, view)
	}
	show("pendiente", video)
	show("movil", video, Problem{"", policies.Refuse(policies.PhoneTaken)})
	show("sin-motivo", video, Problem{deskFieldRejection, policies.Refuse(policies.ReasonMissing)})
	rejected := video
	rejected.State, rejected.Reason, rejected.Evidence.URL = citizen.VideoRejected, "La cara no es la del documento.", ""
	show("rechazada", rejected)

	s.add("varias", &DeskIncidents{Desk: sampleCounter("incidents"), Incidents: []DeskCase{
		{citizen.Case{Name: "Ana Núñez Pérez", Identifier: "12345678Z", RequestID: sampleOperation, Said: "No pedí esa firma.", OpenedAt: s.now.Add(-time.Hour)}, "#main", "#main"},
	}})
	s.add("ninguna", &DeskIncidents{Desk: sampleCounter("incidents")})
	s.add("varias", &DeskLetters{Desk: sampleCounter("letters"), SubmitURL: "#main", Letters: []citizen.Waiting{
		{ID: "1", Identifier: "12345678Z", RequestedAt: s.now.Add(-time.Hour)}, {ID: "2", Identifier: "X1234567L", RequestedAt: s.now.Add(-2 * time.Hour)},
	}})
	s.add("ninguna", &DeskLetters{Desk: sampleCounter("letters"), SubmitURL: "#main"})
}

func (s *sampler) deskPeople() {
	head := func() *Desk {
		return newDeskHead(&Desk{Words: deskWords, Name: "Luis Vega Mora", Role: desk.RoleAdministrator, By: "passkey"}, "people", citizen.Queues{}, true)
	}
	people := []AuditPerson{
		{ID: "luis", Name: "Luis Vega Mora", Role: desk.RoleAdministrator, CreatedAt: s.now.AddDate(-1, 0, 0), Passkeys: 2, Self: true, InviteURL: "#main"},
		{ID: "rosa", Name: "Rosa Gil Mas", Role: desk.RoleSupervisor, CreatedAt: s.now.AddDate(0, -2, 0), Certificate: true, InviteURL: "#main", DisableURL: "#main"},
		{ID: "eva", Name: "Eva Mora Ruiz", Role: desk.RoleOfficer, CreatedAt: s.now, InviteURL: "#main", DisableURL: "#main"},
		{ID: "juan", Name: "Juan Soto Vega", Role: desk.RoleOfficer, CreatedAt: s.now.AddDate(-1, 0, 0), DisabledAt: s.now},
	}
	s.add("varias", &DeskPeople{Desk: head(), People: people})
	s.add("invitada", &DeskPeople{Desk: head(), People: people, Invited: &AuditInvitation{Name: "Eva Mora Ruiz", Link: "https://mesa.example.es/mesa/invitacion#f3Qm", Until: s.now.Add(24 * time.Hour)}})
	s.add("nadie", &DeskPeople{Desk: head()})
	s.add("cerrar", &DeskDisable{Desk: head(), Person: people[1], SubmitURL: "#main", BackURL: "#main"})
}
