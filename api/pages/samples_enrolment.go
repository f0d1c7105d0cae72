package pages

import (
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// enrolment invents the pages of registration on line.
func (s *sampler) enrolment() {
	s.add("todas", &RegisterWays{Strict: true, CertificateURL: "#main", LetterURL: "#main", OfficesURL: "#main", ActivateURL: "#main"})
	s.add("otra-lectura", &RegisterWays{CertificateURL: "#main", ActivateURL: "#main"})
	s.add("solo-oficina", &RegisterWays{OfficesURL: "#main", ActivateURL: "#main"})
	for _, p := range []citizen.Procedure{citizen.ProcedureRenew, citizen.ProcedurePhone, citizen.ProcedureActivation} {
		s.add(string(p), &ShowCertificate{Procedure: p, Years: 5, Hours: 72, StartURL: "#main", OfficesURL: "#main"})
	}
	s.add("solo-oficina", &ShowCertificate{Procedure: citizen.ProcedurePhone, Years: 5, Hours: 72, OfficesURL: "#main"})
	s.enrolData()
	s.enrolCode()
	s.enrolDone()
}

func telematic() []*policies.Refusal {
	return []*policies.Refusal{policies.Refuse(policies.RegistrationTelematic, "since", "2026-11-21").From(policies.SourceRenewal)}
}

func (s *sampler) enrolData() {
	data := func(state string, p citizen.Procedure, change func(*EnrolData), problems ...Problem) {
		v := &EnrolData{
			Problems: problems, Procedure: p, Kind: citizen.ByCertificate, Signer: sampleSigner(), Hours: 72, SubmitURL: "#main", BackURL: "#main",
		}
		change(v)
		s.add(state, v)
	}
	same := func(*EnrolData) {}
	data("registro", citizen.ProcedureRegister, same)
	data("registro-certificado", citizen.ProcedureRegister, func(v *EnrolData) { v.Obstacles = telematic() })
	data("registro-carta", citizen.ProcedureRegister, func(v *EnrolData) {
		v.Kind, v.Obstacles = citizen.ByLetter, []*policies.Refusal{policies.Refuse(policies.RegistrationLevel).From(policies.SourceLevels)}
	})
	typed := func(v *EnrolData) { v.Mobile, v.Email, v.DocumentUntil = "912 345 678", "ana", "ayer" }
	data(
		"con-errores", citizen.ProcedureRegister, typed,
		Problem{FieldMobile, policies.Refuse(policies.PhoneInvalid)}, Problem{FieldContactEmail, policies.Refuse(policies.EmailInvalid)},
		Problem{FieldDocumentUntil, policies.Refuse(policies.IdentityDocumentExpiry, "reason", "form")},
	)
	data("operador", citizen.ProcedureRegister, same, Problem{"", policies.Refuse(policies.SMSFailed)})
	data("movil", citizen.ProcedurePhone, same)
	data("movil-rechazado", citizen.ProcedurePhone, func(v *EnrolData) { v.Mobile = "600 111 421" }, Problem{FieldMobile, policies.Refuse(policies.PhoneRefused)})
	data("renovacion", citizen.ProcedureRenew, same)
	data(
		"renovacion-caducado", citizen.ProcedureRenew, func(v *EnrolData) { v.DocumentUntil = "01/10/2026" },
		Problem{FieldDocumentUntil, policies.Refuse(policies.IdentityDocumentExpiry, "until", "2026-10-01")},
	)
	data("codigo", citizen.ProcedureActivation, same)
}

func (s *sampler) enrolCode() {
	code := func(state string, p citizen.Procedure, problems ...Problem) {
		s.add(state, &EnrolCode{Problems: problems, CodeSent: s.codeSent(), Procedure: p, SubmitURL: "#main", BackURL: "#main"})
	}
	code("registro", citizen.ProcedureRegister)
	code("movil", citizen.ProcedurePhone)
	code("equivocado", citizen.ProcedureRegister, wrongCode())
	code("agotado", citizen.ProcedureRegister, Problem{"", policies.Refuse(policies.CodeExhausted)})
	code("demasiados", citizen.ProcedureRegister, Problem{"", policies.Refuse(policies.CodeTooMany, "limit", "5", "minutes", "40")})
	code("movil-de-otro", citizen.ProcedureRegister, Problem{"", policies.Refuse(policies.PhoneTaken)})
}

func (s *sampler) enrolDone() {
	done := func(state string, p citizen.Procedure, change func(*EnrolDone)) {
		v := &EnrolDone{Procedure: p, At: s.now, Tail: "421", Hours: 72, ReceiptURL: "#main", ActivateURL: "#main", OwnURL: "#main"}
		change(v)
		s.add(state, v)
	}
	code := func(v *EnrolDone) { v.ActivationCode = "7K3M-Q9XA-2BCD-WXYZ" }
	done("registro", citizen.ProcedureRegister, code)
	done("registro-certificado", citizen.ProcedureRegister, func(v *EnrolDone) { code(v); v.Obstacles = telematic() })
	done("movil", citizen.ProcedurePhone, func(v *EnrolDone) { v.ReceiptURL = "" })
	done("renovacion", citizen.ProcedureRenew, func(v *EnrolDone) { v.Until = s.now.AddDate(5, 0, 0) })
	done("codigo", citizen.ProcedureActivation, code)
}
