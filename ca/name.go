package ca

import (
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Name is the name of an authority or of one of its services (ETSI EN 319
// 412-3, section 4.2.1).
type Name struct {
	Country      string // two capital letters
	Organisation string
	// OrganisationIdentifier is in the form of ETSI EN 319 412-1, section
	// 5.1.4, such as VATES-Q2826000H; empty where the organisation has none.
	OrganisationIdentifier string
	CommonName             string
}

func (n Name) subject() map[string]string {
	return map[string]string{
		oidCountry: n.Country, oidOrganisation: n.Organisation,
		oidOrganisationIdentifier: n.OrganisationIdentifier, oidCommonName: n.CommonName,
	}
}

// NameOfCertificate reads the name back from a certificate of ours, so that the
// next one of the same key bears it too.
func NameOfCertificate(c *x509.Certificate) (Name, error) {
	n := Name{CommonName: c.Subject.CommonName}
	for _, attribute := range c.Subject.Names {
		value, _ := attribute.Value.(string)
		switch attribute.Type.String() {
		case oidCountry:
			n.Country = value
		case oidOrganisation:
			n.Organisation = value
		case oidOrganisationIdentifier:
			n.OrganisationIdentifier = value
		}
	}
	if n.Country == "" || n.Organisation == "" || n.CommonName == "" {
		return Name{}, fmt.Errorf("%w: subject %s is none of an authority or its services", ErrRequest, c.Subject)
	}
	return n, nil
}

// isOrganisationIdentifier is a scheme of three letters, or one of two that is
// national, the country, and the number (ETSI EN 319 412-1, section 5.1.4).
func isOrganisationIdentifier(s string) bool {
	ok, err := regexp.MatchString(`^(VAT|NTR|PSD|LEI|[A-Z]{2}:)[A-Z]{2}-[0-9A-Za-z.+/-]+$`, s)
	return ok && err == nil
}

// country and semanticsPrefix say that the number is of a Spanish identity
// document (ETSI EN 319 412-1, section 5.1.3).
const (
	country         = "ES"
	semanticsPrefix = "IDCES-"
)

// subject is a citizen's name (ETSI EN 319 412-2, section 4.2.4): surnames and
// given names as the identity document has them, and a common name for people
// to read.
func (r Request) subject() map[string]string {
	return map[string]string{
		oidCountry: country, oidSerialNumber: semanticsPrefix + r.Identifier,
		oidSurname: r.Surnames, oidGivenName: r.GivenName, oidCommonName: commonName(r),
	}
}

// commonName is "GIVEN SURNAMES - 12345678Z". Names that do not fit are cut
// after a word, or where there is but one, after a letter with its marks. The
// number never is: GN and SN hold the names whole.
func commonName(r Request) string {
	tail := " - " + r.Identifier
	name := []rune(r.GivenName + " " + r.Surnames)
	room := maxCommonName - utf8.RuneCountInString(tail)
	if len(name) > room {
		end := room
		for end > 0 && name[end] != ' ' {
			end--
		}
		if end == 0 {
			for end = room; end > 0 && unicode.Is(unicode.Mn, name[end]); {
				end--
			}
		}
		name = name[:end]
	}
	return strings.TrimSpace(string(name)) + tail
}

// NameReason is what stands against a name.
type NameReason string

// The reasons.
const (
	NameEmpty    NameReason = "empty"
	NameLong     NameReason = "long"     // more characters than the attribute takes
	NameEncoding NameReason = "encoding" // no UTF-8, or not in NFC
	NameControl  NameReason = "control"  // a character that is not seen
	NameScript   NameReason = "script"   // a letter of another script than Latin
	NameSign     NameReason = "sign"     // a sign that stands in no name
)

// NameError is a name that the profile does not allow. It is an ErrRequest,
// too. The name itself is not in its text: logs are no place for it.
type NameError struct {
	Attribute string // as X.520 spells it
	Reason    NameReason
}

// Error implements error.
func (e *NameError) Error() string {
	return fmt.Sprintf("%s cannot be certified: %s", e.Attribute, e.Reason)
}

// Unwrap makes it an ErrRequest.
func (e *NameError) Unwrap() error { return ErrRequest }

// checkName allows what Spanish identity documents print: Latin letters and
// their marks, blanks, apostrophes, hyphens, points and the middle dot of
// Catalan, in NFC. It is as long as citizen.ParseName allows: RFC 5280 would
// take 32,768 characters (ub-name), which no form or screen shows.
func checkName(a Attribute, s string) error {
	if err := checkText(a, s); err != nil {
		return err
	}
	if reason := signs(s); reason != "" {
		return &NameError{Attribute: a.Name, Reason: reason}
	}
	return nil
}

// signs is what stands against the characters of a name.
func signs(s string) NameReason {
	marks := 0
	for _, r := range s {
		switch {
		case isLatinLetter(r):
			marks = 0
		case r >= 0x0300 && r <= 0x036f:
			// No orthography of Latin letters leaves more than two marks in NFC.
			if marks++; marks > 2 {
				return NameSign
			}
		case strings.ContainsRune(" '’-.·", r):
			marks = 0
		case unicode.IsLetter(r):
			return NameScript
		default:
			return NameSign
		}
	}
	return ""
}

// isLatinLetter leaves out phonetic small capitals, ligatures and the letters
// of double width, which look like others.
func isLatinLetter(r rune) bool {
	return unicode.IsLetter(r) && unicode.Is(unicode.Latin, r) && (r < 0x02b0 || r >= 0x1e00 && r <= 0x1eff)
}

// unseen is a character that leaves no trace on paper, such as one of control,
// or the grapheme joiner and the variation selectors.
func unseen(r rune) bool {
	return !unicode.IsPrint(r) || r == 0x034f || unicode.Is(unicode.Variation_Selector, r)
}

// checkText is for what an organisation says of itself: anything that can be
// printed.
func checkText(a Attribute, s string) error {
	switch {
	case s == "" && a.Optional:
		return nil
	case strings.TrimSpace(s) == "":
		return &NameError{Attribute: a.Name, Reason: NameEmpty}
	case !utf8.ValidString(s) || !norm.NFC.IsNormalString(s):
		return &NameError{Attribute: a.Name, Reason: NameEncoding}
	case utf8.RuneCountInString(s) > a.Max:
		return &NameError{Attribute: a.Name, Reason: NameLong}
	case strings.ContainsFunc(s, unseen):
		return &NameError{Attribute: a.Name, Reason: NameControl}
	}
	return nil
}
