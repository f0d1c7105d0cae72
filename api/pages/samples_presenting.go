package pages

import (
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// presenting invents the pages of the certificate door and of the office finder.
func (s *sampler) presenting() {
	shown := func(state, procedure, class, issuer string) {
		s.add(state, &ShownCertificate{
			Procedure: procedure, Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", Name: "ANA NÚÑEZ PÉREZ", Identifier: "12345678Z",
			Class: class, Issuer: issuer, Until: s.now.AddDate(2, 3, 0), SubmitURL: "#main", CancelURL: "#main",
		})
	}
	shown("registro", "registro", "qualified", "AC FNMT Usuarios")
	for _, procedure := range []string{"renovacion", "movil", "codigo", "asociar", "acceso"} {
		shown(procedure, procedure, "dnie", "AC DNIE 004")
	}
	refused := func(state string, refusal *policies.Refusal) {
		s.add(state, &RefusedCertificate{Refusal: refusal, RetryURL: "#main", OfficesURL: "#main", CancelURL: "#main"})
	}
	for _, reason := range []string{"missing", "authority", "expired", "early", "usage", "revoked"} {
		refused(reason, policies.Refuse(policies.CertificateUntrusted, "reason", reason))
	}
	for _, reason := range []string{"organisation", "identifier", "name", "conflict"} {
		refused(reason, policies.Refuse(policies.CertificateUnreadable, "reason", reason))
	}
	refused("sin-comprobar", policies.Refuse(policies.RevocationUnknown))
	refused("no-es-dnie", policies.Refuse(policies.DNIeRequired))
	s.offices()
}

func (s *sampler) offices() {
	places := []citizen.Place{
		{
			ID: "1", Name: "Ayuntamiento de Gijón. Registro general", Address: "Plaza Mayor, 1", PostalCode: "33201", Town: "Gijón / Xixón", Province: "Asturias",
			Phone: "985 18 11 11", Hours: "Lunes a viernes, de 8:30 a 14:00", Appointment: "https://cita.example.es/gijon",
		},
		{
			ID: "2", Name: "Centro municipal integrado El Coto", Address: "Plaza de la República, s/n", PostalCode: "33204", Town: "Gijón / Xixón", Province: "Asturias",
			Hours: "Lunes a viernes, de 8:30 a 14:00; martes, también de 16:00 a 19:00",
		},
		{ID: "3", Name: "Delegación del Gobierno", Address: "Calle Mayor, 69", PostalCode: "28013", Town: "Madrid", Province: "Madrid"},
	}
	s.add("nueva", &Offices{SubmitURL: "#main"})
	s.add("municipio", &Offices{Typed: "Gijón", Searched: true, Found: places, SubmitURL: "#main"})
	s.add("una", &Offices{Typed: "33201", Searched: true, PostalCode: "33201", Found: places[:1], SubmitURL: "#main"})
	s.add("cercanas", &Offices{Typed: "33206", Searched: true, PostalCode: "33206", Found: places[:2], SubmitURL: "#main"})
	s.add("ninguna", &Offices{Typed: "Xanadú", Searched: true, SubmitURL: "#main"})
	s.add("sin-lugar", &Offices{
		Typed: "3", SubmitURL: "#main", Problems: []Problem{{FieldPlace, policies.Refuse(policies.QueryInvalid, "field", FieldPlace, "reason", FieldPlace)}},
	})
}
