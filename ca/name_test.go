package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	public := ecKey(t, elliptic.P256()).Public()
	for _, tc := range []struct {
		given, surnames string
		attribute       string // of the refusal
		reason          NameReason
	}{
		{given: "María del Pilar", surnames: "Núñez O'Donnell"},
		{given: "Itziar", surnames: "Etxeberria Agirre-Zubizarreta"},
		{given: "Begoña", surnames: "Muguruza Güenaga"},
		{given: "Gal·la", surnames: "Puig i Coŀl"},
		{given: "Mª José", surnames: "Açores Vilanòva"},
		{given: "Xoán", surnames: "Otero ’t Hooft Jr."},
		{given: "Nguyễn", surnames: "Þórsdóttir"},
		{given: strings.Repeat("ñ", 100), surnames: "ß"},

		{given: "", surnames: "Pérez", attribute: "givenName", reason: NameEmpty},
		{given: "María", surnames: "   ", attribute: "surname", reason: NameEmpty},
		{given: "María", surnames: strings.Repeat("a", 300), attribute: "surname", reason: NameLong},
		{given: strings.Repeat("a", 101), surnames: "Pérez", attribute: "givenName", reason: NameLong},
		{given: "Ma\nría", surnames: "Pérez", attribute: "givenName", reason: NameControl},
		{given: "María", surnames: "Pérez\x00", attribute: "surname", reason: NameControl},
		{given: "María", surnames: "Pérez\u202e", attribute: "surname", reason: NameControl},
		{given: "Mar\u034fía", surnames: "Pérez", attribute: "givenName", reason: NameControl},
		{given: "محمد", surnames: "Pérez", attribute: "givenName", reason: NameScript},
		{given: "María", surnames: "王", attribute: "surname", reason: NameScript},
		{given: "Мария", surnames: "Pérez", attribute: "givenName", reason: NameScript},
		{given: "M\u0430ría", surnames: "Pérez", attribute: "givenName", reason: NameScript}, // a Cyrillic а
		{given: "ＭＡＲＩＡ", surnames: "Pérez", attribute: "givenName", reason: NameScript},
		{given: "María 2", surnames: "Pérez", attribute: "givenName", reason: NameSign},
		{given: "María", surnames: "Pérez/CN=x", attribute: "surname", reason: NameSign},
		{given: "x\u0302\u0303\u0304", surnames: "Pérez", attribute: "givenName", reason: NameSign},
		{given: "Mari\u0301a", surnames: "Pérez", attribute: "givenName", reason: NameEncoding}, // not in NFC
		{given: "P\xe9rez", surnames: "Pérez", attribute: "givenName", reason: NameEncoding},
	} {
		r := request(public)
		r.GivenName, r.Surnames = tc.given, tc.surnames
		p, err := h.authority.Prepare(r)
		if tc.reason == "" {
			if err != nil || p == nil {
				t.Errorf("Prepare(%q, %q): %v", tc.given, tc.surnames, err)
			}
			continue
		}
		refusal, ok := errors.AsType[*NameError](err)
		if !ok || !errors.Is(err, ErrRequest) || refusal.Reason != tc.reason || refusal.Attribute != tc.attribute {
			t.Errorf("Prepare(%.20q, %.20q): got %v, want %s, %s", tc.given, tc.surnames, err, tc.attribute, tc.reason)
		}
	}
}

// Whatever the name, the number stands whole in the common name, GN and SN are
// whole, and the certificate passes the lint.
func TestAnyNameIsCertified(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	public := ecKey(t, elliptic.P256()).Public()
	rapid.Check(t, func(t *rapid.T) {
		r := request(public)
		r.GivenName = rapid.StringMatching(`[A-ZÑÁÇŁÞ][a-zñáçłþ·'-]{0,40}( [A-ZÑ][a-zñü]{0,40})?`).Draw(t, "given")
		r.Surnames = rapid.StringMatching(`[A-ZÑÁÇŁÞ][a-zñáçłþ·'-]{0,40}( [A-ZÑ][a-zñü]{0,40})?`).Draw(t, "surnames")
		r.Identifier = rapid.StringMatching(`[0-9XYZ][0-9]{7}[A-Z]`).Draw(t, "identifier")
		p, err := h.authority.Prepare(r)
		if err != nil {
			t.Fatal(err)
		}
		der, err := h.authority.Issue(p)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if cn := c.Subject.CommonName; !strings.HasSuffix(cn, " - "+r.Identifier) || len([]rune(cn)) > 64 {
			t.Errorf("common name: got %q", cn)
		}
		if c.Subject.SerialNumber != "IDCES-"+r.Identifier {
			t.Errorf("serialNumber: got %q", c.Subject.SerialNumber)
		}
	})
}

func TestCommonName(t *testing.T) {
	t.Parallel()
	const tail = " - 12345678Z"
	for _, tc := range []struct{ given, surnames, want string }{
		{"María", "Pérez", "María Pérez" + tail},
		{strings.Repeat("a", 26), strings.Repeat("b", 25), strings.Repeat("a", 26) + " " + strings.Repeat("b", 25) + tail}, // 64
		{strings.Repeat("a", 26), strings.Repeat("b", 26), strings.Repeat("a", 26) + tail},
		{strings.Repeat("a", 52), "b", strings.Repeat("a", 52) + tail},
		{"María del Carmen de los Milagros", "Fernández de Córdoba y Ruiz", "María del Carmen de los Milagros Fernández de" + tail},
		{strings.Repeat("a", 60), "b", strings.Repeat("a", 52) + tail},
		// One long word: a letter and its mark stay together.
		{strings.Repeat("a", 51) + "x\u0327x", "b", strings.Repeat("a", 51) + tail},
		{strings.Repeat("a", 50) + "x\u0327\u0302x", "b", strings.Repeat("a", 50) + tail},
		{strings.Repeat("a", 50) + "x\u0327xx", "b", strings.Repeat("a", 50) + "x\u0327" + tail},
	} {
		got := commonName(Request{Identifier: "12345678Z", GivenName: tc.given, Surnames: tc.surnames})
		if got != tc.want || utf8.RuneCountInString(got) > 64 {
			t.Errorf("commonName(%q, %q): got %q, want %q", tc.given, tc.surnames, got, tc.want)
		}
	}
}

func TestNamesOfServices(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	public := ecKey(t, elliptic.P256()).Public()
	for name, change := range map[string]func(*ServiceRequest){
		"no country":          func(r *ServiceRequest) { r.Name.Country = "" },
		"country, lower":      func(r *ServiceRequest) { r.Name.Country = "es" },
		"country of 3":        func(r *ServiceRequest) { r.Name.Country = "ESP" },
		"no organisation":     func(r *ServiceRequest) { r.Name.Organisation = "" },
		"long organisation":   func(r *ServiceRequest) { r.Name.Organisation = strings.Repeat("ñ", 65) },
		"no common name":      func(r *ServiceRequest) { r.Name.CommonName = " " },
		"line break":          func(r *ServiceRequest) { r.Name.CommonName = "Servicio\n1" },
		"bare VAT number":     func(r *ServiceRequest) { r.Name.OrganisationIdentifier = "P0000000A" },
		"unknown scheme":      func(r *ServiceRequest) { r.Name.OrganisationIdentifier = "XXXES-P0000000A" },
		"scheme, no country":  func(r *ServiceRequest) { r.Name.OrganisationIdentifier = "VAT-P0000000A" },
		"longer than profile": func(r *ServiceRequest) { r.NotAfter = now.AddDate(0, 0, 91) },
		"empty validity":      func(r *ServiceRequest) { r.NotAfter = r.NotBefore },
		"outlives the issuer": func(r *ServiceRequest) { r.NotBefore, r.NotAfter = now.AddDate(9, 0, -5), now.AddDate(9, 0, 5) },
		"a list":              func(r *ServiceRequest) { r.CRL = "http://pki.example.org/issuing.crl" },
		"short key":           func(r *ServiceRequest) { r.PublicKey = rsaKey(t, 2048).Public() },
	} {
		r := serviceRequest(public)
		change(&r)
		if _, err := h.authority.PrepareOCSP(r); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v, want ErrRequest", name, err)
		}
	}
	for _, id := range []string{"", "VATES-Q2826000H", "NTRES-1234", "AB:ES-12.3"} {
		r := serviceRequest(public)
		r.Name.OrganisationIdentifier = id
		if _, err := h.authority.PrepareOCSP(r); err != nil {
			t.Errorf("organisation identifier %q: %v", id, err)
		}
	}
	if _, err := h.authority.PrepareTSA(serviceRequest(public)); !errors.Is(err, ErrRequest) {
		t.Errorf("time-stamping unit without a list: got %v, want ErrRequest", err)
	}
}
