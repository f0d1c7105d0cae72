package pages

import "github.com/rubrica-firma/rubrica/policies"

// authorise invents the pages of authorisation requests.
func (s *sampler) authorise() {
	ask := func(state, identifier string, signs bool, problems ...Problem) {
		page := asked(problems...)
		page.Request.Procedure = ""
		s.add(state, &Authorise{
			Page: page, Identifier: identifier, Signs: signs, Days: 30,
			SubmitURL: "#main", DeclineURL: "#main", ForgottenURL: "#main", ActivateURL: "#main",
		})
	}
	ask("ver", "", false)
	ask("firmar", "", true)
	ask("no-coincide", "12345678Z", false, Problem{"", policies.Refuse(policies.CredentialsWrong, "tries", "3")})
}
