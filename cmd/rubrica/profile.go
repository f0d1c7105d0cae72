package main

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rubrica-firma/rubrica/ca"
)

// ProfileSettings are what a deployment chooses about certificates and stamps.
type ProfileSettings struct {
	// CertificatePolicy are the deployment's own policies, beside NCP+.
	CertificatePolicy []string `help:"Object identifiers of the deployment's own certificate policies."`
	// Qualified asserts QcCompliance and QcType (ETSI EN 319 412-5): for a
	// qualified trust service provider alone.
	Qualified bool `help:"Assert that citizens' certificates are EU qualified ones. Only a qualified provider may."`
	// QualifiedDevice asserts QcSSCD as well.
	QualifiedDevice bool `help:"Assert, with --qualified, that keys are in a qualified signature creation device."`
	// DisclosureStatement is lang=https://…, one in English among them.
	DisclosureStatement map[string]string `help:"Addresses of the PKI disclosure statement by language, for --qualified." placeholder:"en=https://…"`
	// TimeStampPolicy is the policy that stamps are made under; the default is
	// the best practices policy of ETSI EN 319 421, section 5.2.
	TimeStampPolicy string `help:"Object identifier of the time-stamp policy." default:"0.4.0.2023.1.1"`
}

func (s ProfileSettings) profile() (ca.Profile, asn1.ObjectIdentifier, error) {
	stamps, err := parseOID(s.TimeStampPolicy)
	if err != nil {
		return ca.Profile{}, nil, fmt.Errorf("time-stamp-policy: %w", err)
	}
	var p ca.Profile
	for _, text := range s.CertificatePolicy {
		oid, err := parseOID(text)
		if err != nil {
			return ca.Profile{}, nil, fmt.Errorf("certificate-policy: %w", err)
		}
		p.Policies = append(p.Policies, oid)
	}
	if !s.Qualified {
		if s.QualifiedDevice || len(s.DisclosureStatement) > 0 {
			return ca.Profile{}, nil, errors.New("qualified-device and disclosure-statement say nothing without --qualified")
		}
		return p, stamps, nil
	}
	p.QcStatements = &ca.QcStatements{SSCD: s.QualifiedDevice}
	for _, language := range slices.Sorted(maps.Keys(s.DisclosureStatement)) {
		p.QcStatements.Disclosures = append(p.QcStatements.Disclosures, ca.Disclosure{Language: language, URL: s.DisclosureStatement[language]})
	}
	return p, stamps, nil
}

func parseOID(s string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no object identifier such as 2.16.724.1.1", s)
		}
		oid = append(oid, n)
	}
	return oid, nil
}
