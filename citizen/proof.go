package citizen

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
)

// Bounds of what an office says of a proof of identity. The values go to the
// log, so they name what was looked at and hold nothing of it.
const (
	maxEvidence     = 10
	maxEvidenceName = 40
)

// parseProof reads how an identity was proved. What was not proved at a desk
// has evidence that can be asked for later.
func (w wireStatement) parseProof() (policies.Mode, map[string]string, error) {
	mode := policies.ModeOffice
	if w.Mode != nil {
		mode = policies.Mode(*w.Mode)
	}
	if !slices.Contains([]policies.Mode{policies.ModeOffice, policies.ModeCertificate, policies.ModeDNIe, policies.ModeVideo}, mode) {
		return "", nil, malformedAct("/mode")
	}
	if len(w.Evidence) > maxEvidence || len(w.Evidence) == 0 && mode != policies.ModeOffice {
		return "", nil, malformedAct("/evidence")
	}
	for name, value := range w.Evidence {
		if !isEvidenceName(name) || !policies.IsLine(value, maxReason) {
			return "", nil, malformedAct("/evidence")
		}
	}
	return mode, w.Evidence, nil
}

func isEvidenceName(s string) bool {
	return s != "" && len(s) <= maxEvidenceName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// CertificateClass is what a certificate that was shown is worth.
type CertificateClass string

// The classes. Only a DNIe renews a registration on line.
const (
	ClassDNIe      CertificateClass = "dnie"
	ClassQualified CertificateClass = "qualified"
)

// mode is how an identity is proved with one of the class.
func (c CertificateClass) mode() policies.Mode {
	if c == ClassDNIe {
		return policies.ModeDNIe
	}
	return policies.ModeCertificate
}

// Procedure is what somebody is about who shows a certificate or answers a
// letter. The words stand in addresses.
type Procedure string

// The procedures.
const (
	ProcedureRegister   Procedure = "registro"
	ProcedureRenew      Procedure = "renovacion" // of the registration
	ProcedurePhone      Procedure = "movil"
	ProcedureActivation Procedure = "codigo" // another activation code
	ProcedureAssociate  Procedure = "asociar"
	ProcedureAccess     Procedure = "acceso"
)

// Procedures is the closed list.
func Procedures() []Procedure {
	return []Procedure{ProcedureRegister, ProcedureRenew, ProcedurePhone, ProcedureActivation, ProcedureAssociate, ProcedureAccess}
}

// Presentation is a certificate that somebody showed at the certificate door,
// which has checked it and read whose it is.
type Presentation struct {
	Challenge  []byte // SHA-256 of what the browser holds that is to come back
	Procedure  Procedure
	Class      CertificateClass
	Identifier Identifier
	Name       Name
	DER        []byte
	Evidence   map[string]string // how the door has checked it
}

// challengeSize is that of SHA-256.
const challengeSize = sha256.Size

type wireCertificate struct {
	DER        []byte `json:"der"` // base64
	Class      string `json:"class"`
	Identifier string `json:"identifier"`
	GivenName  string `json:"given_name"`
	Surnames   string `json:"surnames"`
}

func (w wireStatement) parsePresentation() (p Presentation, err error) {
	c := w.Certificate
	p.DER, p.Class, p.Procedure = c.DER, CertificateClass(c.Class), Procedure(*w.Procedure)
	if p.Challenge, err = base64.RawURLEncoding.Strict().DecodeString(*w.Challenge); err != nil || len(p.Challenge) != challengeSize {
		return p, malformedAct("/challenge")
	}
	if !slices.Contains(Procedures(), p.Procedure) {
		return p, malformedAct("/procedure")
	}
	if p.Class != ClassDNIe && p.Class != ClassQualified {
		return p, malformedAct("/certificate/class")
	}
	if _, err := x509.ParseCertificate(p.DER); err != nil {
		return p, malformedAct("/certificate/der")
	}
	if p.Identifier, err = ParseIdentifier(c.Identifier); err != nil {
		return p, err
	}
	p.Evidence = w.Evidence
	p.Name, err = ParseName(c.GivenName, c.Surnames)
	return p, err
}

// evidence is what a registration keeps of a certificate.
func (p Presentation) evidence() (map[string]string, error) {
	certificate, err := x509.ParseCertificate(p.DER)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate that was shown: %w", err)
	}
	evidence := map[string]string{
		"class": string(p.Class), "issuer": certificate.Issuer.String(), "serial": certificate.SerialNumber.Text(16),
		"sha256": fmt.Sprintf("%x", sha256.Sum256(p.DER)),
	}
	for name, value := range p.Evidence {
		if _, known := evidence[name]; !known {
			evidence[name] = value
		}
	}
	return evidence, nil
}
