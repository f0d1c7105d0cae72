package ca

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Profile is what a deployment chooses about the certificates that its issuing
// authorities make. All else is fixed: see Kinds.
type Profile struct {
	// Policies are the deployment's own certificate policies, named beside
	// NCP+ (ETSI EN 319 411-1, section 5.3).
	Policies []asn1.ObjectIdentifier
	// QcStatements are asserted of citizens' certificates if there are any: by
	// a qualified provider alone.
	QcStatements *QcStatements
}

// QcStatements say that a certificate is an EU qualified one for electronic
// signatures: QcCompliance and QcType esign always, and these (ETSI EN 319
// 412-5, sections 4.2 and 4.3).
type QcStatements struct {
	// SSCD asserts that the key is held in a qualified signature creation device.
	SSCD bool
	// Disclosures are the PKI disclosure statements, an English one among them.
	Disclosures []Disclosure
}

// Disclosure is a PKI disclosure statement in one language (ETSI EN 319 412-5,
// section 4.3.4).
type Disclosure struct {
	URL      string // https
	Language string // ISO 639-1, lower case
}

func (p Profile) check() error {
	for _, oid := range p.Policies {
		if encoded, err := asn1.Marshal(oid); err != nil || len(encoded) < 3 {
			return fmt.Errorf("policy %s is no object identifier", oid)
		}
	}
	if p.QcStatements == nil {
		return nil
	}
	languages := map[string]bool{}
	for _, d := range p.QcStatements.Disclosures {
		u, err := url.Parse(d.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || !isIA5(d.URL) {
			return fmt.Errorf("disclosure statement %q has no https address", d.URL)
		}
		if len(d.Language) != 2 || strings.Trim(d.Language, "abcdefghijklmnopqrstuvwxyz") != "" || languages[d.Language] {
			return fmt.Errorf("disclosure statement %q: language %q is none of ISO 639-1, or there twice", d.URL, d.Language)
		}
		languages[d.Language] = true
	}
	if !languages["en"] {
		return errors.New("QcStatements without a disclosure statement in English")
	}
	return nil
}

// check demands addresses that a validator can fetch.
func (a Addresses) check() error {
	if !isHTTP(a.Issuer) {
		return fmt.Errorf("issuer address %q is no http address", a.Issuer)
	}
	if a.OCSP != "" && !isHTTP(a.OCSP) {
		return fmt.Errorf("OCSP address %q is no http address", a.OCSP)
	}
	return nil
}

func isHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && u.Host != "" && isIA5(address)
}

// isIA5 is whether an address can stand in a certificate (RFC 5280, section
// 4.2.1.6): others must be escaped first.
func isIA5(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
