// Package lint runs zlint over a certificate before it is issued. It is a room
// of its own so that the rest of ca does not depend on zlint: hand Certificate
// to ca.Config.Lint.
package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// ErrLint is a certificate that breaks a rule of zlint.
var ErrLint = errors.New("certificate does not pass lint")

// Certificate checks a certificate against the rules of the IETF and of ETSI.
// Those of the CA/Browser Forum are for servers and mail and do not apply.
func Certificate(der []byte) error {
	rules, err := lint.GlobalRegistry().Filter(lint.FilterOptions{
		IncludeSources: sources(),
		// Verifies the signature with keys of another authority, which costs
		// more than all other rules together.
		ExcludeNames: []string{"e_cert_issued_by_compromised_emudhra_ca"},
	})
	if err != nil {
		return fmt.Errorf("choosing lint rules: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: parsing: %w", ErrLint, err)
	}
	var broken []string
	for name, result := range zlint.LintCertificateEx(certificate, rules).Results {
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

func sources() lint.SourceList {
	return lint.SourceList{
		lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6960, lint.RFC6962, lint.RFC8813,
		lint.EtsiEsi, lint.Community,
	}
}
