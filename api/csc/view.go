package csc

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/signer"
)

// credentialView is what both versions say of a credential.
type credentialView struct {
	CredentialID       string    `json:"credentialID,omitempty"` // within credentialInfos
	Description        string    `json:"description,omitempty"`
	SignatureQualifier string    `json:"signatureQualifier,omitempty"`
	Key                keyView   `json:"key"`
	Cert               certView  `json:"cert"`
	AuthMode           string    `json:"authMode,omitempty"` // version 1
	Auth               *authView `json:"auth,omitempty"`     // version 2
	SCAL               string    `json:"SCAL"`
	PIN                *presence `json:"PIN,omitempty"`
	OTP                *presence `json:"OTP,omitempty"`
	Multisign          int       `json:"multisign"`
	Lang               string    `json:"lang,omitempty"`
}

type keyView struct {
	Status string   `json:"status"`
	Algo   []string `json:"algo"`
	Len    int      `json:"len"`
	Curve  string   `json:"curve,omitempty"`
}

type certView struct {
	Status       string   `json:"status,omitempty"`
	Certificates []string `json:"certificates,omitempty"`
	IssuerDN     string   `json:"issuerDN,omitempty"`
	SerialNumber string   `json:"serialNumber,omitempty"`
	SubjectDN    string   `json:"subjectDN,omitempty"`
	ValidFrom    string   `json:"validFrom,omitempty"`
	ValidTo      string   `json:"validTo,omitempty"`
	QCStatements []string `json:"qcStatements,omitempty"`
	Policy       []string `json:"policy,omitempty"`
}

// authView is present with its list even where that is empty: clients index it.
type authView struct {
	Mode       string       `json:"mode"`
	Expression string       `json:"expression,omitempty"`
	Objects    []authObject `json:"objects"`
}

// authObject is what explicit mode asks for (CSC API v2.0.0.2, 11.5).
type authObject struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	Generator string `json:"generator,omitempty"`
	Label     string `json:"label"`
}

type presence struct {
	Presence string `json:"presence"`
}

// wishes are how much is to be said.
type wishes struct {
	certificates       string // none, single or chain
	certInfo, authInfo bool
	lang               string
	explicit           bool // for the application that asks
}

// wishes reads those parameters that credentials/info and list have in common.
func (d *Door) wishes(c call) (wishes, error) {
	w := wishes{certificates: "single", explicit: d.explicit(c)}
	var err error
	if c.body.has("certificates") {
		var ok bool
		if w.certificates, ok = c.body.text("certificates"); !ok {
			return w, invalidParameter("certificates")
		}
	}
	switch w.certificates {
	case "none", "single", "chain":
	default:
		return w, invalidParameter("certificates")
	}
	if w.certInfo, err = c.body.flag("certInfo"); err != nil {
		return w, err
	}
	if w.authInfo, err = c.body.flag("authInfo"); err != nil {
		return w, err
	}
	w.lang, err = d.lang(c)
	return w, err
}

// subject is a credential with what its view is made of.
type subject struct {
	citizen     signer.Citizen
	credential  signer.Credential
	certificate *x509.Certificate // nil: none was issued
	hierarchy   ca.Hierarchy      // nil unless the chain is asked for
}

const timeForm = "20060102150405Z"

// view draws a credential.
func (s subject) view(v version, w wishes, now time.Time) (credentialView, error) {
	out := credentialView{SCAL: scal, Multisign: requests.HashLimit, Lang: w.lang, Description: "Firma en la nube"}
	out.Key = s.key(now)
	var err error
	if out.Cert, err = s.cert(w, now); err != nil {
		return out, err
	}
	if v == 1 {
		out.AuthMode = "oauth2code"
		if w.authInfo {
			out.PIN, out.OTP = &presence{"false"}, &presence{"false"}
		}
		if w.explicit {
			out.SCAL, out.AuthMode, out.PIN, out.OTP = "1", "explicit", &presence{"true"}, &presence{"true"}
		}
		return out, nil
	}
	out.Auth = &authView{Mode: "oauth2code", Objects: []authObject{}}
	if w.explicit {
		out.SCAL = "1"
		out.Auth = &authView{Mode: "explicit", Expression: "PIN AND OTP", Objects: []authObject{
			{Type: "Password", ID: "PIN", Label: "Contraseña"}, {Type: "Password", ID: "OTP", Generator: "online", Label: "Código del SMS"},
		}}
	}
	if s.certificate != nil {
		out.SignatureQualifier = Qualifier(s.certificate)
	}
	return out, nil
}

// enabled is whether the key would sign now, as far as this side knows.
func (s subject) enabled(now time.Time) bool {
	return s.citizen.Status == signer.Active && s.credential.Certified(now)
}

func (s subject) key(now time.Time) keyView {
	k := keyView{Status: "disabled", Algo: []string{}}
	if s.enabled(now) {
		k.Status = "enabled"
	}
	if s.certificate == nil {
		return k
	}
	switch public := s.certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		k.Algo, k.Len = namesFor(true), public.N.BitLen()
	case *ecdsa.PublicKey:
		k.Algo, k.Len = namesFor(false), public.Params().BitSize
		k.Curve = map[int]string{256: "1.2.840.10045.3.1.7", 384: "1.3.132.0.34", 521: "1.3.132.0.35"}[k.Len]
	}
	return k
}

func (s subject) cert(w wishes, now time.Time) (certView, error) {
	var out certView
	if s.certificate == nil {
		return out, nil
	}
	crt := s.credential.Certificate
	switch {
	case crt.Suspended():
		out.Status = "suspended"
	case !crt.RevokedAt.IsZero():
		out.Status = "revoked"
	case now.After(crt.NotAfter):
		out.Status = "expired"
	default:
		out.Status = "valid"
	}
	out.QCStatements = statements(s.certificate)
	for _, policy := range s.certificate.PolicyIdentifiers {
		out.Policy = append(out.Policy, policy.String())
	}
	if w.certInfo {
		out.IssuerDN, out.SubjectDN = s.certificate.Issuer.String(), s.certificate.Subject.String()
		out.SerialNumber = fmt.Sprintf("%X", s.certificate.SerialNumber)
		out.ValidFrom, out.ValidTo = s.certificate.NotBefore.UTC().Format(timeForm), s.certificate.NotAfter.UTC().Format(timeForm)
	}
	if w.certificates == "none" {
		return out, nil
	}
	out.Certificates = []string{base64Of(s.certificate.Raw)}
	if w.certificates != "chain" {
		return out, nil
	}
	above, err := chain(s.certificate, s.hierarchy)
	for _, c := range above {
		out.Certificates = append(out.Certificates, base64Of(c.Raw))
	}
	return out, err
}

// chain is what stands above a certificate, up to the root, leaf's issuer first.
func chain(leaf *x509.Certificate, h ca.Hierarchy) ([]*x509.Certificate, error) {
	var authorities, above []*x509.Certificate
	for _, m := range h {
		c, err := m.Certificate()
		if err != nil {
			return nil, fmt.Errorf("reading an authority: %w", err)
		}
		authorities = append(authorities, c)
	}
	for at := leaf; string(at.RawIssuer) != string(at.RawSubject); {
		issuer := issuerOf(at, authorities)
		if issuer == nil || len(above) > len(authorities) {
			return above, nil
		}
		above, at = append(above, issuer), issuer
	}
	return above, nil
}

func issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, a := range among {
		if string(a.RawSubject) == string(c.RawIssuer) && c.CheckSignatureFrom(a) == nil {
			return a
		}
	}
	return nil
}

// Statements that tell what a signature is worth (EN 319 412-5, 4.2).
const (
	qcCompliance = "0.4.0.1862.1.1"
	qcSSCD       = "0.4.0.1862.1.4"
)

// statements are the OIDs of a certificate's qcStatements (RFC 3739, 3.2.6).
func statements(c *x509.Certificate) []string {
	var names []string
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}) {
			continue
		}
		var list []struct {
			ID   asn1.ObjectIdentifier
			Info asn1.RawValue `asn1:"optional"`
		}
		if rest, err := asn1.Unmarshal(extension.Value, &list); err != nil || len(rest) > 0 {
			return nil
		}
		for _, s := range list {
			names = append(names, s.ID.String())
		}
	}
	return names
}
