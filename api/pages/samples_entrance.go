package pages

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// entrance invents the pages of the other ways in.
func (s *sampler) entrance() {
	s.pins()
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
