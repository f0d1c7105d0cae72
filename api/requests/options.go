package requests

import (
	"cmp"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
)

// Options are how the signature in a PDF is to be: what of a request's document
// a door has parsed, kept until the document is prepared once more.
type Options struct {
	Reason   string `json:"reason,omitempty"`
	Location string `json:"location,omitempty"`
	// Field is the empty signature field to fill; empty for a new one.
	Field string `json:"field,omitempty"`
	// Certify is DocMDP's P, 0 for an approval signature.
	Certify int `json:"certify,omitempty"`
	// Stamp is what readers see; nil for a signature that is not drawn.
	Stamp *Stamp `json:"stamp,omitempty"`
}

// Stamp is where a stamp stands and what it says beyond who signs and when.
type Stamp struct {
	Page  int        `json:"page,omitempty"` // from 1, from the end if negative; 0 is 1
	Place string     `json:"place,omitempty"`
	Rect  [4]float64 `json:"rect,omitzero"`
	CSV   string     `json:"csv,omitempty"`
	URL   string     `json:"url,omitempty"`
}

const (
	maxLine     = 200
	maxLocality = 128 // ub-locality-name, RFC 5280, A.1
	maxCSV      = 64
	maxURL      = 300
)

// checkSignature says whether what was asked of a signature can be asked of its format.
func (u Upload) checkSignature() error {
	o, a := u.Options, u.Attributes
	malformed := func(field string) error { return policies.Refuse(policies.RequestMalformed, "field", field) }
	inPDF := u.Format == signer.PAdES
	switch {
	case u.Level != "" && !u.Level.Known():
		return malformed("level")
	case !inPDF && o != Options{}:
		return malformed("signature")
	case inPDF && (a.Country != "" || a.Locality != ""):
		return malformed("signature/country")
	case inPDF && o.Reason != "" && (a.Commitment != "" || a.Policy != ""):
		// EN 319 142-1, 6.3, table 1, d and m.
		return malformed("signature/reason")
	case !optionalText(o.Reason, maxLine):
		return malformed("signature/reason")
	case !optionalText(o.Location, maxLine):
		return malformed("signature/location")
	case !optionalText(o.Field, maxLine):
		return malformed("signature/field")
	case o.Certify < 0 || o.Certify > 3:
		return malformed("signature/certification")
	case a.Commitment != "" && !cades.Commitment(a.Commitment).Known():
		return malformed("signature/commitment")
	case a.Country != "" && (len(a.Country) != 2 || strings.ToUpper(a.Country) != a.Country):
		return malformed("signature/country")
	case !optionalText(a.Locality, maxLocality):
		return malformed("signature/locality")
	case a.Policy != "" && a.Policy != signer.PolicyAGE19:
		return malformed("signature/policy")
	}
	if o.Stamp == nil {
		return nil
	}
	switch s := o.Stamp; {
	case !optionalText(s.CSV, maxCSV):
		return malformed("signature/stamp/csv")
	case s.URL != "" && !webAddress(s.URL):
		return malformed("signature/stamp/check_url")
	case s.place() == "":
		return malformed("signature/stamp/place")
	case s.place() == stamp.InField && o.Field == "":
		return malformed("signature/field")
	case (s.place() == stamp.FreeRect) != (s.Rect != [4]float64{}):
		return malformed("signature/stamp/rect")
	}
	return nil
}

func optionalText(s string, limit int) bool { return s == "" || plainText(s, limit) }

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && utf8.RuneCountInString(s) <= maxURL
}

// forPDF is what the document worker is told.
func (o Options) forPDF(by signatory, at time.Time, level cades.Level) pades.Options {
	out := pades.Options{
		Reason: o.Reason, Location: o.Location, Field: o.Field, Certify: pades.Permission(o.Certify), Time: at, Hole: hole(level),
	}
	if o.Stamp != nil {
		out.Stamp = &stamp.Options{
			Page: cmp.Or(o.Stamp.Page, 1), Place: o.Stamp.place(), Rect: o.Stamp.Rect, Organisation: cmp.Or(by.Notice, by.Organisation), Name: by.Name,
			Identifier: by.Identifier, Reason: o.Reason, CSV: o.Stamp.CSV, URL: o.Stamp.URL, Time: at,
		}
	}
	return out
}

// Stamped reports whether a document's signature will be seen in it.
func Stamped(d signer.Document) bool {
	o, err := optionsOf(d)
	return err == nil && o.Stamp != nil
}

// places are stamp's, by the names that doors have for them.
func places() map[string]stamp.Place {
	return map[string]stamp.Place{
		"": stamp.BottomRight, "top-left": stamp.TopLeft, "top-right": stamp.TopRight,
		"bottom-left": stamp.BottomLeft, "bottom-right": stamp.BottomRight,
		"left-margin": stamp.LeftMargin, "right-margin": stamp.RightMargin,
		"top-margin": stamp.TopMargin, "bottom-margin": stamp.BottomMargin,
		"rect": stamp.FreeRect, "field": stamp.InField,
	}
}

func (s *Stamp) place() stamp.Place { return places()[s.Place] }

// hole is how many octets a PDF keeps for the signature: an RSA-4096 value and a
// chain of three certificates, and from B-T on a time-stamp with its own chain.
func hole(level cades.Level) int {
	if level.AtLeast(cades.BT) {
		return pades.DefaultHole
	}
	return pades.DefaultHole - pades.TokenRoom
}
