package pages

import "github.com/rubrica-firma/rubrica/policies"

// authorise invents the pages of authorisation requests.
func (s *sampler) authorise() {
	ask := func(state, identifier, goes string, problems ...Problem) {
		page := asked(problems...)
		page.Request.Procedure, page.Request.Unsigned = "", goes != "sign"
		s.add(state, &Authorise{
			Page: page, Identifier: identifier, Goes: goes, Days: 30,
			SubmitURL: "#main", DeclineURL: "#main", ForgottenURL: "#main", ActivateURL: "#main",
		})
	}
	ask("ver", "", "")
	ask("firmar", "", "sign")
	ask("no-coincide", "12345678Z", "", Problem{"", policies.Refuse(policies.CredentialsWrong, "tries", "3")})
	page := asked()
	page.Request.Procedure, page.Request.Unsigned = "", true
	for _, affair := range []Affair{Issue, Revoke} {
		state := "pide-" + string(affair)
		ask(state, "", string(affair))
		s.add(state, &AskAffair{
			Page: page, Affair: affair, Signer: sampleSigner(), Until: s.now.AddDate(4, 0, 0), Issuer: "Rúbrica, autoridad de certificación interna",
			Tail: "421", SubmitURL: "#main", DeclineURL: "#main",
		})
		s.add(state, &AffairCode{Page: page, CodeSent: s.codeSent(), Affair: affair, SubmitURL: "#main", DeclineURL: "#main"})
	}
	s.add("no-puede", &Trouble{Page: page, Refusal: policies.Refuse(policies.CredentialExists), ReturnURL: "#main"})
}
