package presenting

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"unicode"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// profile is where an authority's certificates say whom they name.
type profile string

const (
	// profileDNIe is that of the DNI: the number stands alone in serialNumber,
	// surname has the first surname, and the common name is "SURNAMES, NAMES
	// (AUTENTICACIÓN)" (DGP, Declaración de prácticas de certificación, 7.1.4).
	profileDNIe profile = "dnie"
	// profileETSI is that of EN 319 412-1, section 5.1.3: IDCES- and the number
	// in serialNumber, the names in givenName and surname.
	profileETSI profile = "etsi"
	// profileCommonName is an older one, where the number ends the common name.
	profileCommonName profile = "common_name"
)

func (p profile) known() bool {
	return p == profileDNIe || p == profileETSI || p == profileCommonName
}

// Person is who a certificate names.
type Person struct {
	Identifier citizen.Identifier
	Name       citizen.Name
}

// Why a certificate names nobody; the "reason" of policies.CertificateUnreadable.
const (
	reasonOrganisation = "organisation" // it speaks for one
	reasonIdentifier   = "identifier"   // no DNI or NIE where the profile has it
	reasonName         = "name"
	reasonConflict     = "conflict" // one part says another thing than the other
)

func unreadable(reason string) error {
	return policies.Refuse(policies.CertificateUnreadable, "reason", reason)
}

// person reads whom the certificate names (policies.CertificateUnreadable).
func (p profile) person(c *x509.Certificate) (Person, error) { return p.read(c.RawSubject) }

func (p profile) read(subject []byte) (Person, error) {
	s, err := readSubject(subject)
	if err != nil {
		return Person{}, err
	}
	number, name := p.place(s)
	id, err := citizen.ParseIdentifier(number)
	if err != nil || id.String() != number {
		return Person{}, unreadable(reasonIdentifier)
	}
	if s.contradicts(id) {
		return Person{}, unreadable(reasonConflict)
	}
	parsed, err := citizen.ParseName(name.given, name.surnames)
	if err != nil {
		return Person{}, unreadable(reasonName)
	}
	return Person{Identifier: id, Name: parsed}, nil
}

// names are a person's as a certificate has them.
type names struct{ given, surnames string }

// place finds number and names where the profile has them; what is not there is
// empty.
func (p profile) place(s subject) (number string, n names) {
	n = names{given: s[givenName], surnames: s[surname]}
	switch p {
	case profileDNIe:
		return s[serialNumber], s.printed()
	case profileETSI:
		number, found := strings.CutPrefix(s[serialNumber], "IDCES-")
		if !found {
			return "", n
		}
		return number, n
	case profileCommonName:
		return s.last(), n
	}
	return "", names{}
}

// The attributes that are read (ITU-T X.520).
const (
	commonName             = "2.5.4.3"
	surname                = "2.5.4.4"
	serialNumber           = "2.5.4.5"
	country                = "2.5.4.6"
	organisation           = "2.5.4.10"
	givenName              = "2.5.4.42"
	pseudonym              = "2.5.4.65"
	organisationIdentifier = "2.5.4.97"
)

// subject is a distinguished name whose attributes that matter are there once.
type subject map[string]string

// What a subject may have; those of people have less than ten attributes.
const (
	maxSubject    = 4 << 10
	maxAttributes = 32
)

// readSubject reads a Name in DER. A certificate with an organisation is one to
// act for it (EN 319 412-2, section 4.2.4 has none for a person's own), and one
// with a pseudonym does not say who it is.
func readSubject(der []byte) (subject, error) {
	var sequence pkix.RDNSequence
	if len(der) > maxSubject {
		return nil, unreadable(reasonConflict)
	}
	if rest, err := asn1.Unmarshal(der, &sequence); err != nil || len(rest) > 0 {
		return nil, unreadable(reasonConflict)
	}
	s := subject{}
	for _, set := range sequence {
		for _, attribute := range set {
			kind := attribute.Type.String()
			value, isText := attribute.Value.(string)
			_, twice := s[kind]
			if !isText || len(s) == maxAttributes || twice && slices.Contains(single(), kind) {
				return nil, unreadable(reasonConflict)
			}
			s[kind] = value
		}
	}
	_, organised := s[organisation]
	_, registered := s[organisationIdentifier]
	_, hidden := s[pseudonym]
	switch {
	case organised || registered || strings.Contains(s[commonName], "(R:"):
		return nil, unreadable(reasonOrganisation)
	case hidden || s[country] != "ES":
		return nil, unreadable(reasonIdentifier)
	}
	return s, nil
}

// single are the attributes of which two would leave the choice to the reader.
func single() []string {
	return []string{commonName, surname, serialNumber, country, givenName, pseudonym}
}

// printed are the names of a DNI: both surnames stand in the common name alone,
// which has to agree with the other attributes.
func (s subject) printed() names {
	whole, _, _ := strings.Cut(s[commonName], " (")
	surnames, given, found := strings.Cut(whole, ",")
	given = strings.TrimSpace(given)
	first := s[surname]
	if !found || given != s[givenName] || first == "" || surnames != first && !strings.HasPrefix(surnames, first+" ") {
		return names{}
	}
	return names{given: given, surnames: surnames}
}

// last is the number after the last dash of the common name: "SURNAMES NAMES -
// 12345678Z", or with NIF before it.
func (s subject) last() string {
	at := strings.LastIndex(s[commonName], " - ")
	if at < 0 {
		return ""
	}
	return strings.TrimLeft(strings.TrimPrefix(s[commonName][at+len(" - "):], "NIF"), ": ")
}

// contradicts is whether another number stands in the common name or in
// serialNumber. What shows one person's number and is read as another's is
// either forged or a mistake of its authority.
func (s subject) contradicts(id citizen.Identifier) bool {
	if serial := s[serialNumber]; serial != "" && strings.TrimPrefix(serial, "IDCES-") != id.String() {
		return true
	}
	words := strings.FieldsFunc(s[commonName], func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return slices.ContainsFunc(words, func(word string) bool {
		other, err := citizen.ParseIdentifier(word)
		return err == nil && other != id
	})
}
