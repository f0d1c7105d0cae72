package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// entrance invents the pages of the other ways in.
func (s *sampler) entrance() {
	s.pins()
	s.letters()
	s.cards()
}

func (s *sampler) pins() {
	ask := func(state, identifier, until string, problems ...Problem) {
		s.add(state, &AskPIN{Problems: problems, Identifier: identifier, DocumentUntil: until, SubmitURL: "#main", PasswordURL: "#main"})
	}
	ask("nueva", "", "")
	ask(
		"con-errores", "12345678A", "30 de febrero",
		Problem{FieldIdentifier, policies.Refuse(policies.IdentifierInvalid, "reason", "letter")},
		Problem{FieldDocumentUntil, policies.Refuse(policies.IdentityDocumentExpiry, "reason", "form")},
		Problem{FieldAccessKey, policies.Refuse(policies.AccessKeyInvalid)},
	)
	ask("demasiadas", "12345678Z", "31/12/2030", Problem{"", policies.Refuse(policies.RateLimited).After(20 * time.Minute)})
	code := func(state string, problems ...Problem) {
		s.add(state, &TypePIN{
			Problems: problems, ExpiresAt: s.now.Add(9*time.Minute + 12*time.Second), Now: s.now, SubmitURL: "#main", AgainURL: "#main",
		})
	}
	code("nueva")
	code("no-es-un-pin", Problem{FieldPIN, policies.Refuse(policies.PINMismatch, "reason", "form")})
	code("no-coincide", Problem{"", policies.Refuse(policies.PINMismatch, "tries", "2")})
	code("caducado", Problem{"", policies.Refuse(policies.PINMismatch, "reason", "expired")})
	code("agotado", Problem{"", policies.Refuse(policies.PINMismatch, "reason", "exhausted")})
}

func (s *sampler) letters() {
	ask := func(state, identifier, until, iban string, problems ...Problem) {
		s.add(state, &AskLetter{
			Problems: problems, Identifier: identifier, DocumentUntil: until, IBAN: iban, SubmitURL: "#main", CodeURL: "#main", OfficeURL: "#main",
		})
	}
	ask("nueva", "", "", "")
	ask(
		"con-errores", "12345678A", "31/02/2030", "ES00 1234",
		Problem{FieldIdentifier, policies.Refuse(policies.IdentifierInvalid, "reason", "letter")},
		Problem{FieldDocumentUntil, policies.Refuse(policies.IdentityDocumentExpiry, "reason", "form")},
		Problem{FieldIBAN, policies.Refuse(policies.IBANInvalid)},
	)
	ask("caducado", "12345678Z", "31/12/2020", "ES91 2100 0418 4502 0005 1332",
		Problem{FieldDocumentUntil, policies.Refuse(policies.IdentityDocumentExpiry, "until", "2020-12-31")})
	ask("sin-registro", "12345678Z", "31/12/2030", "ES91 2100 0418 4502 0005 1332", Problem{"", policies.Refuse(policies.RegisterUnavailable)})
	s.add("pedida", &LetterAsked{CodeURL: "#main", HomeURL: "#main"})
	answer := func(state, csv string, problems ...Problem) {
		s.add(state, &AnswerLetter{
			Problems: problems, Identifier: "12345678Z", DocumentUntil: "31/12/2030", CSV: csv, SubmitURL: "#main", AskURL: "#main",
		})
	}
	answer("nueva", "")
	answer("no-coincide", "ABCD-EFGH-JKLM-NPQR", Problem{"", policies.Refuse(policies.LetterMismatch)})
	answer("bloqueada", "ABCD-EFGH-JKLM-NPQR", Problem{"", policies.Refuse(policies.LetterBlocked)})
}

func (s *sampler) cards() {
	identify := func(state, card string, problems ...Problem) {
		s.add(state, &IdentifyCard{Problems: problems, Card: card, SubmitURL: "#main", KeyURL: "#main"})
	}
	identify("nueva", "")
	identify("con-errores", "tarjeta",
		Problem{FieldCard, policies.Refuse(policies.CardMismatch, "reason", "number")},
		Problem{FieldCardPIN, policies.Refuse(policies.CardMismatch, "reason", "pin")},
		Problem{FieldOperationsKey, policies.Refuse(policies.CardMismatch, "reason", "key")})
	identify("no-coincide", "123456", Problem{"", policies.Refuse(policies.CardMismatch)})
	identify("bloqueada", "123456", Problem{"", policies.Refuse(policies.CardBlocked)})
	s.add("nueva", &AskCardKey{SubmitURL: "#main", BackURL: "#main"})
	s.add("demasiadas", &AskCardKey{
		Problems: []Problem{{"", policies.Refuse(policies.RateLimited).After(40 * time.Minute)}}, Card: "123456", SubmitURL: "#main", BackURL: "#main",
	})
	s.add("pedida", &CardKeyAsked{EnterURL: "#main", AgainURL: "#main"})
}
