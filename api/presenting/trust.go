package presenting

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/rubrica-firma/rubrica/api/augment"
)

// Class is what a certificate is worth: some procedures take no other than that
// of the DNI.
type Class string

// The classes of certificates.
const (
	DNIe      Class = "dnie"
	Qualified Class = "qualified"
)

// TrustList is who may vouch for people here.
type TrustList struct{ authorities []*authority }

// authority issues certificates of people under some policies.
type authority struct {
	name       string
	class      Class
	profile    profile
	issuers    []*x509.Certificate
	roots      []*x509.Certificate // nil: the issuers are trusted by themselves
	responders []*x509.Certificate
	policies   []string
	ocsp, crl  []string // in place of what certificates name
	web        *augment.Web
}

// wireAuthority is one [[authority]] of the trust list.
type wireAuthority struct {
	Name       string   `toml:"name"`
	Class      Class    `toml:"class"`
	Subject    profile  `toml:"subject"`
	Issuers    []string `toml:"issuers"`
	Roots      []string `toml:"roots"`
	Responders []string `toml:"responders"`
	Policies   []string `toml:"policies"`
	Hosts      []string `toml:"hosts"`
	Networks   []string `toml:"networks"`
	OCSP       []string `toml:"ocsp"`
	CRL        []string `toml:"crl"`
}

// OpenTrust reads a trust list (TOML); docs/certificate-door.md is its manual.
// Files of certificates are found beside it. What is not understood is an error.
func OpenTrust(path string) (*TrustList, error) { return readTrust(path, files{}) }

func readTrust(path string, in files) (*TrustList, error) {
	var wire struct {
		Authority []wireAuthority `toml:"authority"`
	}
	content, err := in.read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the trust list: %w", err)
	}
	meta, err := toml.Decode(string(content), &wire)
	if err != nil {
		return nil, fmt.Errorf("reading the trust list: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("reading the trust list %s: it has %q, which means nothing", path, unknown[0])
	}
	if len(wire.Authority) == 0 {
		return nil, fmt.Errorf("reading the trust list %s: it names no authority", path)
	}
	list := &TrustList{}
	for _, w := range wire.Authority {
		a, err := w.open(filepath.Dir(path), in)
		if err != nil {
			return nil, fmt.Errorf("reading the authority %q of the trust list %s: %w", w.Name, path, err)
		}
		list.authorities = append(list.authorities, a)
	}
	return list, nil
}

func (w wireAuthority) open(dir string, in files) (*authority, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	a := &authority{name: w.Name, class: w.Class, profile: w.Subject, policies: w.Policies, ocsp: w.OCSP, crl: w.CRL}
	for _, of := range []struct {
		names []string
		into  *[]*x509.Certificate
	}{{w.Issuers, &a.issuers}, {w.Roots, &a.roots}, {w.Responders, &a.responders}} {
		for _, name := range of.names {
			read, err := readCertificates(filepath.Join(dir, name), in)
			if err != nil {
				return nil, err
			}
			*of.into = append(*of.into, read...)
		}
	}
	for _, c := range slices.Concat(a.issuers, a.roots) {
		if !c.IsCA {
			return nil, fmt.Errorf("%s is no authority's certificate", c.Subject)
		}
	}
	return a, a.connect(w)
}

func (w wireAuthority) check() error {
	switch {
	case strings.TrimSpace(w.Name) == "":
		return errors.New("it has no name")
	case w.Class != DNIe && w.Class != Qualified:
		return fmt.Errorf("class %q is neither %s nor %s", w.Class, DNIe, Qualified)
	case !w.Subject.known():
		return fmt.Errorf("subject %q is no profile: %s, %s or %s", w.Subject, profileDNIe, profileETSI, profileCommonName)
	case len(w.Issuers) == 0:
		return errors.New("it has no issuers")
	case len(w.Policies) == 0:
		return errors.New("it has no policies: every certificate of its issuers would do")
	}
	for _, policy := range w.Policies {
		if _, err := parsePolicy(strings.TrimSuffix(policy, ".*")); err != nil {
			return err
		}
	}
	return nil
}

// connect makes the way to where revocation is told. Addresses that stand in
// the list itself are to be reached, whatever else is.
func (a *authority) connect(w wireAuthority) error {
	config := augment.WebConfig{Hosts: w.Hosts, Timeout: patience}
	for _, network := range w.Networks {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return fmt.Errorf("network %q: %w", network, err)
		}
		config.Networks = append(config.Networks, prefix)
	}
	for _, address := range slices.Concat(w.OCSP, w.CRL) {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%q is no http or https address", address)
		}
		config.Hosts = append(config.Hosts, u.Host)
	}
	var err error
	a.web, err = augment.NewWeb(config)
	return err
}

func readCertificates(path string, in files) ([]*x509.Certificate, error) {
	content, err := in.read(path)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("reading %s: it holds no certificate (PEM)", path)
	}
	return all, nil
}

func parsePolicy(s string) (asn1.ObjectIdentifier, error) {
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(arc, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("policy %q is no object identifier", s)
		}
		id = append(id, int(n))
	}
	if len(id) < 2 {
		return nil, fmt.Errorf("policy %q is no object identifier", s)
	}
	return id, nil
}

// policy is the first policy of the certificate that the list names; one that
// ends in .* stands for all that begin so, as where an authority adds the
// version of its practices.
func (a *authority) policy(c *x509.Certificate) (string, bool) {
	for _, id := range c.Policies {
		policy := id.String()
		if slices.ContainsFunc(a.policies, func(listed string) bool {
			family, open := strings.CutSuffix(listed, "*")
			return listed == policy || open && strings.HasPrefix(policy, family)
		}) {
			return policy, true
		}
	}
	return "", false
}

// issuer is whoever of this authority issued the certificate.
func (a *authority) issuer(c *x509.Certificate) *x509.Certificate {
	for _, issuer := range a.issuers {
		if bytes.Equal(issuer.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(issuer) == nil {
			return issuer
		}
	}
	return nil
}

// Authorities are what a browser is told, so that it offers certificates that
// will do and no others.
func (t *TrustList) Authorities() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range t.authorities {
		for _, c := range slices.Concat(a.issuers, a.roots) {
			pool.AddCert(c)
		}
	}
	return pool
}
