// Package lint judges a certificate before it is issued: by the rules of zlint
// and by some of ETSI EN 319 412 and of the profiles of services that zlint
// does not know. It is a room of its own so that the rest of ca does not
// depend on zlint: hand Certificate to ca.Config.Lint.
package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// ErrLint is a certificate that breaks a rule.
var ErrLint = errors.New("certificate does not pass lint")

// rules are those of the IETF and of ETSI. Those of the CA/Browser Forum are
// for servers and mail and do not apply. Choosing them takes longer than
// applying them, so it is done once.
var rules = sync.OnceValues(func() (lint.Registry, error) {
	chosen, err := lint.GlobalRegistry().Filter(lint.FilterOptions{
		IncludeSources: lint.SourceList{
			lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6960, lint.RFC6962, lint.RFC8813,
			lint.EtsiEsi, lint.Community,
		},
		ExcludeNames: []string{
			// Verifies the signature with keys of another authority, which costs
			// more than all other rules together.
			"e_cert_issued_by_compromised_emudhra_ca",
			// Recommend 64 characters. Names are as the identity document has
			// them, and may be longer (EN 319 412-2, NAT-4.2.4-18).
			"w_subject_given_name_recommended_max_length",
			"w_subject_surname_recommended_max_length",
		},
	})
	if err != nil {
		return nil, fmt.Errorf("choosing lint rules: %w", err)
	}
	return chosen, nil
})

// Certificate judges a certificate of any kind. The error names each rule that
// it breaks.
func Certificate(der []byte) error {
	registry, err := rules()
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: parsing: %w", ErrLint, err)
	}
	broken, err := profiled(der)
	if err != nil {
		return fmt.Errorf("%w: parsing: %w", ErrLint, err)
	}
	for name, result := range zlint.LintCertificateEx(certificate, registry).Results {
		if result.Status == lint.Error || result.Status == lint.Fatal || result.Status == lint.Warn {
			broken = append(broken, strings.TrimSpace(name+" "+result.Details))
		}
	}
	if len(broken) > 0 {
		slices.Sort(broken)
		return fmt.Errorf("%w: %s", ErrLint, strings.Join(broken, "; "))
	}
	return nil
}
