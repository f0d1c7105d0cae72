package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

// Sample is a page in one of its states, with invented facts: what the
// component page links to and what tests render.
type Sample struct {
	Name  string
	State string
	View  View
}

// sampler invents facts around one moment.
type sampler struct {
	now     time.Time
	image   string
	samples []Sample
	words   *catalogue.Messages
}

// Samples gives every view in every state that it has.
func (p *Pages) Samples(now time.Time) []Sample {
	s := &sampler{now: now, image: p.assets.addresses["sample-page.svg"], words: p.speak("")}
	s.identification()
	s.certificate()
	s.review()
	s.confirmation()
	s.endings()
	s.activation()
	s.password()
	s.own()
	s.my()
	s.entrance()
	s.presenting()
	s.authorise()
	s.enrolment()
	s.service()
	s.auditor()
	s.desk()
	return s.samples
}

func (s *sampler) add(state string, view View) {
	page := view.page()
	page.Self = ComponentsPath + view.template() + "?estado=" + state
	page.Guard = "0000"
	s.samples = append(s.samples, Sample{Name: view.template(), State: state, View: view})
}

// asked is the page of a request, with the problems given.
func asked(problems ...Problem) Page {
	return Page{
		Request:  &Request{Organisation: "Ayuntamiento de Gijón", Application: "Sede electrónica", Procedure: "Ayudas a la rehabilitación 2026", Details: []Detail{{Label: "Expediente", Value: "2026/1234"}}},
		Problems: problems,
	}
}

func sampleSigner() Signer { return Signer{Name: "ANA NÚÑEZ PÉREZ", Masked: "***4567**"} }

func (s *sampler) documents(count int) []Document {
	titles := []string{"Solicitud de ayuda.pdf", "Presupuesto de las ventanas.pdf", "Declaración de no haber recibido otras ayudas.pdf"}
	var documents []Document
	for i := range count {
		documents = append(documents, Document{
			Number: i + 1, Title: titles[i%len(titles)], Kind: "PDF", Size: int64(212_000 + 950_000*i), Pages: 3 - i%3,
			Fingerprint: "7f3a91c05be2d84417aa0c9f63b1e58d2a4470f9c6d35e18b07fa29c41d6e380",
			OpenURL:     "#main", OriginalURL: s.image, SignedURL: s.image,
		})
	}
	return documents
}

func (s *sampler) codeSent() CodeSent {
	return CodeSent{
		Tail: "421", SentAt: s.now.Add(-29 * time.Second), Delivered: true, ExpiresAt: s.now.Add(4*time.Minute + 31*time.Second),
		Now: s.now, AgainIn: 28 * time.Second, AgainURL: "#main",
	}
}

func (s *sampler) identification() {
	identify := func(page Page, identifier string) *Identify {
		return &Identify{Page: page, Identifier: identifier, SubmitURL: "#main", ForgottenURL: "#main", ChangeURL: "#main", ActivateURL: "#main", RefuseURL: "#main"}
	}
	s.add("nueva", identify(asked(), ""))
	s.add("letra", identify(asked(Problem{FieldIdentifier, policies.Refuse(policies.IdentifierInvalid)}), "12345678A"))
	s.add("contrasena", identify(asked(Problem{FieldPassword, policies.Refuse(policies.CredentialsWrong)}), "12345678Z"))
	refused := func(state string, refusal *policies.Refusal) {
		s.add(state, identify(asked(Problem{"", refusal}), "12345678Z"))
	}
	refused("pausa", policies.Refuse(policies.PasswordPaused).After(15*time.Minute))
	refused("vencida", policies.Refuse(policies.PasswordExpired, "years", "2"))
	refused("bloqueada", policies.Refuse(policies.PasswordLocked))
	refused("cuenta-bloqueada", policies.Refuse(policies.CitizenBlocked))
	refused("alterada", policies.Refuse(policies.RecordTampered))
}

func (s *sampler) certificate() {
	offer := func(state string, reason *policies.Refusal) {
		s.add(state, &CertificateOffer{
			Page: asked(), Signer: sampleSigner(), Reason: reason, Issuer: "Rúbrica, autoridad de certificación interna",
			Until: s.now.AddDate(4, 0, 0), Tail: "421", SubmitURL: "#main", RefuseURL: "#main",
		})
	}
	offer("primero", policies.Refuse(policies.CredentialMissing))
	offer("caducado", policies.Refuse(policies.CertificateExpired, "since", "2026-11-02"))
	s.add("sustituye", &CertificateOffer{
		Page: asked(), Signer: sampleSigner(), Replaces: true, Issuer: "Rúbrica, autoridad de certificación interna",
		Until: s.now.AddDate(4, 0, 0), Tail: "421", SubmitURL: "#main", RefuseURL: "#main",
	})
	s.add("renueva", &CertificateOffer{
		Page: asked(), Signer: sampleSigner(), SkipURL: "#main", Ends: s.now.AddDate(0, 0, 41), DaysLeft: 41,
		Issuer: "Rúbrica, autoridad de certificación interna", Until: s.now.AddDate(4, 0, 0), Tail: "421", SubmitURL: "#main", RefuseURL: "#main",
	})
	s.add("renueva", &CertificateCode{Page: asked(), CodeSent: s.codeSent(), SubmitURL: "#main", SkipURL: "#main", RefuseURL: "#main"})
	s.add("nueva", &CertificateCode{Page: asked(), CodeSent: s.codeSent(), SubmitURL: "#main", RefuseURL: "#main"})
	s.add("codigo", &CertificateCode{Page: asked(wrongCode()), CodeSent: s.codeSent(), SubmitURL: "#main", RefuseURL: "#main"})
	tooOld := policies.Refuse(policies.RegistrationTooOld, "since", "2019-03-04", "years", "5")
	tooOld.Source = "Cl@ve, modificación de registro y renovación a los 5 años"
	s.add("antiguo", &CertificateRefused{
		Page: asked(), Reason: tooOld, OfficesURL: "#main", RenewURL: "#main", Until: s.now.AddDate(0, 0, 7), ResumeURL: "#main", ReturnURL: "#main", RefuseURL: "#main",
	})
	bare := func(code policies.Code) *CertificateRefused {
		return &CertificateRefused{Page: asked(), Reason: policies.Refuse(code), Until: s.now.AddDate(0, 0, 7), ResumeURL: "#main", RefuseURL: "#main"}
	}
	s.add("telematico", bare(policies.RegistrationTelematic))
	s.add("nivel", bare(policies.RegistrationLevel))
	s.add("documento", bare(policies.IdentityDocumentExpiry))
}

func wrongCode() Problem {
	return Problem{FieldCode, policies.Refuse(policies.CodeWrong, "tries", "2", "seconds", "28")}
}

func (s *sampler) review() {
	opened := func(document Document, page int) Opened {
		o := Opened{Document: document, Page: page, ImageURL: s.image, LargeURL: s.image, Width: 794, Height: 1123, Text: "Solicitud de ayuda\n\n1. Persona solicitante\nANA NÚÑEZ PÉREZ, con DNI ***4567**, vecina de Gijón."}
		if page > 1 {
			o.PrevURL = "#main"
		}
		if page < document.Pages {
			o.NextURL = "#main"
		}
		return o
	}
	review := func(page Page, documents []Document, opened Opened) *Review {
		return &Review{Page: page, Documents: documents, Opened: opened, Signer: sampleSigner(), Tail: "421", SubmitURL: "#main", RefuseURL: "#main"}
	}
	one, several := s.documents(1), s.documents(3)
	s.add("uno", review(asked(), one, opened(one[0], 1)))
	ending := review(asked(), one, opened(one[0], 1))
	ending.RenewURL, ending.Ends, ending.DaysLeft = "#main", s.now.AddDate(0, 0, 1), 1
	s.add("acaba", ending)
	overtaken := review(asked(), one, opened(one[0], 1))
	overtaken.Others = []Cosigner{{Initials: "M. Á. P. N.", Signed: true}, {Initials: "J. G."}, {}}
	overtaken.Fail("", policies.Refuse(policies.DocumentChanged, "reason", "signed"))
	s.add("con_otros", overtaken)
	first := opened(one[0], 1)
	first.Text, first.TextURL = "", "#main"
	s.add("sin_texto", review(asked(), one, first))
	hash := Document{Number: 1, Title: "Contrato 7/2026", HashOnly: true, Fingerprint: one[0].Fingerprint}
	s.add("resumen", review(asked(), []Document{hash}, Opened{Document: hash}))
	plain := Document{Number: 1, Title: "nota.txt", Kind: "TXT", Size: 820, Fingerprint: one[0].Fingerprint, OriginalURL: s.image}
	s.add("texto", review(asked(), []Document{plain}, Opened{Document: plain, Text: "Nota de prueba.\nSegunda línea."}))
	s.add("varios", review(asked(), several, opened(several[0], 2)))
	s.add("demasiados", review(asked(Problem{"", policies.Refuse(policies.CodeTooMany, "limit", "5", "minutes", "12")}), one, opened(one[0], 3)))
	unseen := Document{Number: 1, Title: "datos.xml", Kind: "XML", Size: 8_200, Fingerprint: one[0].Fingerprint, OriginalURL: s.image}
	s.add("oculto", review(asked(), []Document{unseen}, Opened{Document: unseen}))
}

func (s *sampler) confirmation() {
	confirm := func(page Page, count int) *Confirm {
		return &Confirm{
			Page: page, CodeSent: s.codeSent(), Reference: "K7QF", Documents: s.documents(count), Signer: sampleSigner(),
			SubmitURL: "#main", ReviewURL: "#main", RefuseURL: "#main",
		}
	}
	s.add("uno", confirm(asked(), 1))
	s.add("varios", confirm(asked(), 3))
	s.add("codigo", confirm(asked(wrongCode()), 1))
	s.add("con_otros", confirm(asked(Problem{"", policies.Refuse(policies.Busy, "reason", "cosigner").After(10 * time.Second)}), 1))
	late := confirm(asked(Problem{FieldCode, policies.Refuse(policies.CodeExpired, "minutes", "5")}), 1)
	late.Now, late.AgainIn, late.Delivered = late.ExpiresAt, 0, false
	s.add("caducado", late)
	lost := confirm(asked(), 1)
	lost.Delivered, lost.Failed, lost.AgainIn = false, true, 0
	s.add("no-entregado", lost)
	s.add("uno", &Refuse{Page: asked(), Documents: s.documents(1), SubmitURL: "#main", BackURL: "#main"})
	s.add("varios", &Refuse{Page: asked(), Documents: s.documents(3), SubmitURL: "#main", BackURL: "#main"})
}

func (s *sampler) endings() {
	done := func(documents []Document) *Done {
		return &Done{Page: asked(), Documents: documents, SignedAt: s.now, Reference: "K7QF", ReturnURL: "https://sede.example.es/vuelta", StayURL: "#main", EvidenceURL: "#main", ReceiptURL: "#main"}
	}
	s.add("uno", done(s.documents(1)))
	leaving := done(s.documents(1))
	leaving.ReturnIn = 30 * time.Second
	s.add("vuelve", leaving)
	some := s.documents(3)
	some[1].Failure = policies.Refuse(policies.SignatureFailed)
	s.add("algunos", done(some))
	none := s.documents(1)
	none[0].Failure = policies.Refuse(policies.SignatureFailed)
	s.add("ninguno", done(none))
	alone := done(s.documents(1))
	alone.ReturnURL = ""
	s.add("sin-vuelta", alone)
	s.add("nueva", &Refused{Page: asked(), At: s.now, ReturnURL: "#main"})
	s.add("nueva", &Expired{Page: asked(), At: s.now, ReturnURL: "#main"})
	s.add("nueva", &Withdrawn{Page: asked(), At: s.now, ReturnURL: "#main"})
	s.add("nueva", &Working{Page: asked(), LookURL: "#main"})
	s.add("nueva", &Interrupted{Page: asked(), RetryURL: "#main"})
	s.add("nueva", &SessionEnded{Page: asked(), After: 15 * time.Minute, Kept: KeptRequest, IdentifyURL: "#main"})
	s.add("contrasena", &SessionEnded{After: 10 * time.Minute, Kept: KeptPassword, IdentifyURL: "#main"})
	s.add("certificado", &SessionEnded{After: 10 * time.Minute, Kept: KeptCertificate, IdentifyURL: "#main"})
}

func (s *sampler) activation() {
	s.add("nueva", &Activate{SubmitURL: "#main"})
	s.add("no-coincide", &Activate{
		Problems:   []Problem{{"", policies.Refuse(policies.ActivationMismatch, "tries", "4")}},
		Identifier: "12345678Z", Email: "ana@example.es", ActivationCode: "ABCD EFGH", SubmitURL: "#main",
	})
	s.add("dos-errores", &Activate{
		Problems: []Problem{
			{FieldIdentifier, policies.Refuse(policies.IdentifierInvalid)}, {FieldEmail, policies.Refuse(policies.EmailInvalid)},
		},
		Identifier: "12345678A", Email: "ana@", ActivationCode: "ABCD EFGH", SubmitURL: "#main",
	})
	s.add("nueva", &ActivationCode{CodeSent: s.codeSent(), SubmitURL: "#main", RestartURL: "#main"})
	s.add("codigo", &ActivationCode{Problems: []Problem{wrongCode()}, CodeSent: s.codeSent(), SubmitURL: "#main", RestartURL: "#main"})
	s.add("nueva", &SetPassword{Identifier: "12345678Z", Rules: PasswordRules(), SubmitURL: "#main"})
	rules := PasswordRules()
	for i := range rules {
		rules[i].State = RuleKept
	}
	rules[1].State = RuleBroken
	s.add("debil", &SetPassword{
		Problems:   []Problem{{FieldPasswordNew, policies.Refuse(policies.PasswordWeak, "reason", "classes", "minimum", "8", "long", "16")}},
		Identifier: "12345678Z", Rules: rules, SubmitURL: "#main",
	})
	s.add("sola", &Activated{At: s.now})
	s.add("sigue", &Activated{At: s.now, ContinueURL: "#main"})
}

func (s *sampler) password() {
	change := func(state, identifier string, problems ...Problem) {
		s.add(state, &ChangePassword{
			Problems: problems, Identifier: identifier, SubmitURL: "#main", ForgottenURL: "#main", CertificateURL: "#main", BackURL: "#main",
		})
	}
	change("nueva", "")
	change("no-coincide", "12345678Z", Problem{"", policies.Refuse(policies.CredentialsWrong, "tries", "3")})
	change("pausa", "12345678Z", Problem{"", policies.Refuse(policies.PasswordPaused).After(90 * time.Second)})
	code := func(state string, sent CodeSent, problems ...Problem) {
		s.add(state, &ChangeCode{Problems: problems, CodeSent: sent, SubmitURL: "#main", RestartURL: "#main"})
	}
	code("nueva", s.codeSent())
	code("codigo", s.codeSent(), wrongCode())
	code("sin-enviar", CodeSent{Tail: "421", AgainURL: "#main"}, Problem{"", policies.Refuse(policies.SMSFailed)})
	s.add("cambio", &SetPassword{Identifier: "12345678Z", Rules: PasswordRules(), SubmitURL: "#main", Changes: true})
	rules := PasswordRules()
	rules[3].State = RuleBroken
	s.add("anterior", &SetPassword{
		Problems:   []Problem{{FieldPasswordNew, policies.Refuse(policies.PasswordWeak, "reason", "previous")}},
		Identifier: "12345678Z", Rules: rules, SubmitURL: "#main", Changes: true,
	})
	s.add("sola", &Changed{At: s.now, HomeURL: "#main"})
	s.add("sigue", &Changed{At: s.now, ContinueURL: "#main", HomeURL: "#main"})
	s.add("sola", &Forgotten{ActivateURL: "#main", ChangeURL: "#main"})
	s.add("sigue", &Forgotten{ActivateURL: "#main", ChangeURL: "#main", BackURL: "#main"})
}

func (s *sampler) service() {
	s.add("nueva", &Home{RegisterURL: "#main", ActivateURL: "#main", ChangeURL: "#main", ForgottenURL: "#main", CertificateURL: "#main", OwnURL: "#main", OfficesURL: "#main", ComponentsURL: ComponentsPath, Authorities: []Authority{{
		Name: "Rúbrica Raíz 2026", Until: s.now.AddDate(20, 0, 0), URL: s.image,
		Fingerprint: "7f3a91c05be2d84417aa0c9f63b1e58d2a4470f9c6d35e18b07fa29c41d6e380",
	}}})
	s.add("no-existe", &Trouble{Refusal: policies.Refuse(policies.NotFound), HomeURL: "#main"})
	s.add("fallo", &Trouble{Page: asked(), Refusal: policies.Refuse(policies.Internal), Reference: "7F3A-91C0", RetryURL: "#main"})
	s.add("despacio", &Trouble{Refusal: policies.Refuse(policies.RateLimited).After(40 * time.Second), RetryURL: "#main"})
	s.add("otra-persona", &Trouble{Page: asked(), Refusal: policies.Refuse(policies.NotTheSigner), HomeURL: "#main"})
	s.add("ocupado", &Trouble{Refusal: policies.Refuse(policies.Busy).After(5 * time.Second), RetryURL: "#main"})
}
