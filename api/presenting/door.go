package presenting

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// Procedure is what a certificate is shown for.
type Procedure string

// The procedures that take a certificate.
const (
	Registration Procedure = "registro"
	Renewal      Procedure = "renovacion" // of a registration
	Phone        Procedure = "movil"
	Activation   Procedure = "codigo" // another activation code
	Association  Procedure = "asociar"
	Entrance     Procedure = "acceso"
)

// Procedures are all of them.
func Procedures() []Procedure {
	return []Procedure{Registration, Renewal, Phone, Activation, Association, Entrance}
}

// DNIeOnly is whether no other certificate will do (Cl@ve, "Renovación del
// registro a los 5 años").
func (p Procedure) DNIeOnly() bool { return p == Renewal }

// Errand is what somebody comes for. Challenge is the SHA-256 of what the
// browser keeps that began it, as in RFC 7636, section 4.2.
type Errand struct {
	Challenge [sha256.Size]byte
	Procedure Procedure
}

// The parameters of an errand's address.
const (
	ChallengeParameter = "desafio"
	ProcedureParameter = "tramite"
)

// ParseErrand reads the parameters (policies.RequestMalformed).
func ParseErrand(challenge, procedure string) (Errand, error) {
	e := Errand{Procedure: Procedure(procedure)}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil || len(raw) != len(e.Challenge) || strings.ContainsAny(challenge, "\r\n") {
		return e, policies.Refuse(policies.RequestMalformed, "field", ChallengeParameter)
	}
	if !slices.Contains(Procedures(), e.Procedure) {
		return e, policies.Refuse(policies.RequestMalformed, "field", ProcedureParameter)
	}
	copy(e.Challenge[:], raw)
	return e, nil
}

// Encode writes the challenge as it stands in addresses.
func (e Errand) Encode() string { return base64.RawURLEncoding.EncodeToString(e.Challenge[:]) }

// Office signs what it did. *citizen.Signatory fulfils it.
type Office interface {
	// Sign makes an act of the members given.
	Sign(wanted any) (citizen.Act, error)
}

// Perform has the signer believe an act, and gives the code by which what was
// shown can be taken, once.
type Perform func(ctx context.Context, act citizen.Act) (code string, err error)

// Config names the parts of a Door.
type Config struct {
	Trust   Trust
	Office  Office
	Perform Perform
	// Recorder is told of certificates that are refused.
	Recorder Recorder
	// ServiceURL is the address of the public side, where the visitor came from.
	ServiceURL string
	Logger     *slog.Logger
	Now        func() time.Time
}

// Door judges certificates and hands over who they name. It is safe for
// concurrent use.
type Door struct {
	Config
	register *register
	flood    *api.Flood
}

// New makes a Door.
func New(c Config) (*Door, error) {
	if c.Trust == nil || c.Office == nil || c.Perform == nil || c.Recorder == nil {
		return nil, errors.New("a certificate door needs a trust list, an office, a signer and a log")
	}
	u, err := url.Parse(c.ServiceURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("service address %q is no address", c.ServiceURL)
	}
	c.ServiceURL = u.Scheme + "://" + u.Host
	k, err := newKept()
	if err != nil {
		return nil, fmt.Errorf("making room for what authorities say: %w", err)
	}
	return &Door{Config: c, register: &register{now: c.Now, logger: c.Logger, kept: k}, flood: api.NewFlood(refusals())}, nil
}

// Shown is a certificate that was believed.
type Shown struct {
	Person

	Certificate *x509.Certificate
	Class       Class
	// Authority is the entry of the trust list, Issuer who signed the certificate
	// under it, Policy the rules that this one follows.
	Authority, Issuer, Policy string
	// Source and At are how it is known that the certificate is not revoked, and
	// of when that is.
	Source string
	At     time.Time
}

// Look judges the certificate of a request's connection for an errand. Refusals:
// certificate_untrusted, certificate_unreadable, revocation_unknown,
// dnie_required.
func (d *Door) Look(r *http.Request, e Errand) (Shown, error) {
	s, err := d.look(r)
	if err == nil && e.Procedure.DNIeOnly() && s.Class != DNIe {
		err = policies.Refuse(policies.DNIeRequired)
	}
	if refusal := (*policies.Refusal)(nil); errors.As(err, &refusal) {
		err = errors.Join(err, d.refused(r, e, s, refusal))
	}
	return s, err
}

func (d *Door) look(r *http.Request) (Shown, error) {
	// The handshake proved that the key is at the other end (RFC 8446, section
	// 4.4.3; RFC 5246, section 7.4.8), and nothing more.
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return Shown{}, untrusted(reasonMissing)
	}
	leaf := r.TLS.PeerCertificates[0]
	f, err := d.Trust.List(r.Context()).find(leaf, d.Now())
	if err != nil {
		return Shown{}, err
	}
	s := Shown{Certificate: leaf, Class: f.authority.class, Authority: f.authority.name, Issuer: name(f.path[1]), Policy: f.policy}
	if s.Person, err = f.authority.profile.person(leaf); err != nil {
		return s, err
	}
	known, err := d.register.check(r.Context(), f)
	s.Source, s.At = known.source, known.at
	return s, err
}

// wireAct is what the office says of a certificate that was shown to it. What
// else there is to know, the signer reads from the certificate.
type wireAct struct {
	Act         citizen.ActKind `json:"act"`
	Officer     string          `json:"officer"`
	Challenge   string          `json:"challenge"`
	Procedure   Procedure       `json:"procedure"`
	Certificate wireCertificate `json:"certificate"`
	Evidence    wireEvidence    `json:"evidence"`
}

type wireCertificate struct {
	DER        []byte `json:"der"`
	Class      Class  `json:"class"`
	Identifier string `json:"identifier"`
	GivenName  string `json:"given_name"`
	Surnames   string `json:"surnames"`
}

// wireEvidence is what shows afterwards how the identity was proved (EN 319
// 411-1, section 6.2.2).
type wireEvidence struct {
	Authority  string `json:"authority"`
	Policy     string `json:"policy"`
	Revocation string `json:"revocation"`
	CheckedAt  string `json:"checked_at"`
}

// officer is who acts for the office at a door that nobody stands at.
const officer = "certificate-door"

// maxCertificate is what an act (citizen.ActLimit) has room for; people's
// certificates have about half of it.
const maxCertificate = 3 << 10

// HandOver has the signer keep what was shown, and gives the address at which
// the visitor goes on. The code in it is worth nothing without what the browser
// keeps that began the errand.
func (d *Door) HandOver(ctx context.Context, s Shown, e Errand) (address string, err error) {
	if len(s.Certificate.Raw) > maxCertificate {
		return "", unreadable(reasonConflict)
	}
	act, err := d.Office.Sign(wireAct{
		Act: "present_certificate", Officer: officer, Challenge: e.Encode(), Procedure: e.Procedure,
		Certificate: wireCertificate{
			DER: s.Certificate.Raw, Class: s.Class, Identifier: s.Identifier.String(), GivenName: s.Name.Given(), Surnames: s.Name.Surnames(),
		},
		Evidence: wireEvidence{
			Authority: s.Authority, Policy: s.Policy, Revocation: s.Source, CheckedAt: s.At.UTC().Format(time.RFC3339),
		},
	})
	if err != nil {
		return "", fmt.Errorf("signing what was shown: %w", err)
	}
	code, err := d.Perform(ctx, act)
	if err != nil {
		return "", err
	}
	return d.ServiceURL + ReturnPath + "?" + url.Values{"codigo": {code}, ProcedureParameter: {string(e.Procedure)}}.Encode(), nil
}

// ReturnPath is where the public side takes visitors back.
const ReturnPath = "/certificado-presentado"
