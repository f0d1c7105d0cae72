package requests

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Cosigner is what a citizen is told of another who signs the same.
type Cosigner struct {
	Initials string // empty of somebody who is not registered
	Signed   bool
}

// Cosigners are the others who sign what a request asks for, in the order in which
// they are asked. Who they are, their initials hint at: whoever knows them will
// know, and nobody else.
func (s *Service) Cosigners(ctx context.Context, r signer.Request) ([]Cosigner, error) {
	if r.Envelope == "" {
		return nil, nil
	}
	e, err := s.Envelopes.Envelope(ctx, r.Envelope)
	if err != nil {
		return nil, err
	}
	var others []Cosigner
	for _, o := range e.Signers {
		if o.RequestID == r.ID {
			continue
		}
		citizen, _, err := s.Store.Person(ctx, o.Identifier)
		if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
			return nil, err
		}
		others = append(others, Cosigner{Initials: initials(citizen.GivenName + " " + citizen.Surnames), Signed: o.State == signer.Signed})
	}
	return others, nil
}

// initials are those of a name's words that are written large: "María de los
// Ángeles Pérez" is "M. Á. P.".
func initials(name string) string {
	var out []string
	for word := range strings.FieldsSeq(name) {
		if first, _ := utf8.DecodeRuneInString(word); unicode.IsUpper(first) || unicode.IsTitle(first) {
			out = append(out, string(first)+".")
		}
	}
	return strings.Join(out, " ")
}
