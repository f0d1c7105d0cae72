package ceremony

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
)

// title is the common name of a member, after the organisation.
func title(role ca.Role, generation int) string {
	switch role {
	case ca.RoleRoot:
		return "CA Raíz"
	case ca.RoleIssuing:
		if generation == 1 {
			return "CA Ciudadanos"
		}
		return fmt.Sprintf("CA Ciudadanos %d", generation)
	case ca.RoleOCSP:
		return fmt.Sprintf("OCSP %d", generation)
	default:
		return fmt.Sprintf("TSU %d", generation) // a unit of the authority: ETSI EN 319 422, section 6
	}
}

// errName is an organisation that certificates cannot name.
var errName = errors.New("--organisation is too long: with what members are called it must fit into 64 characters (RFC 5280, ub-common-name)")

// name is a member's. Those below the root have its organisation.
func (h *House) name(root *x509.Certificate, role ca.Role, generation int) (ca.Name, error) {
	n := ca.Name{Country: "ES", Organisation: h.Organisation, OrganisationIdentifier: h.OrganisationIdentifier}
	if root != nil {
		var err error
		if n, err = ca.NameOfCertificate(root); err != nil {
			return n, err
		}
	}
	n.CommonName = n.Organisation + " " + title(role, generation)
	if utf8.RuneCountInString(n.CommonName) > 64 {
		return n, fmt.Errorf("%w: %q", errName, n.CommonName)
	}
	return n, nil
}

// intend writes down which key is going to be certified, before the issuer's
// key is used.
func (h *House) intend(ctx context.Context, c, name, issuer string, public crypto.PublicKey) error {
	sum, err := keySum(public)
	if err != nil {
		return err
	}
	err = h.Store.Log(ctx, audit.Entry{
		Type: audit.AuthorityIntent, Operation: operation(c), At: h.Now(),
		Payload: map[string]any{"member": name, "issuer": issuer, "key_sha256": sum},
	})
	if err != nil {
		return fmt.Errorf("recording the intent: %w", err)
	}
	return nil
}

func (h *House) certifyRoot(ctx context.Context, c string) (outcome, error) {
	token, err := h.newRootToken(ctx)
	if err != nil {
		return outcome{}, err
	}
	key, err := token.ServiceKey(ctx, rootKey)
	if err != nil {
		return outcome{}, fmt.Errorf("finding %s: %w", rootKey, err)
	}
	name, err := h.name(nil, ca.RoleRoot, 1)
	if err != nil {
		return outcome{}, err
	}
	if err := h.intend(ctx, c, "root", "root", key.Public()); err != nil {
		return outcome{}, err
	}
	from := h.Now().UTC().Truncate(time.Second)
	certificate, err := ca.CreateRoot(ca.Root{Name: name, NotBefore: from, NotAfter: from.AddDate(h.RootYears, 0, 0)}, key, h.Lint)
	if err != nil {
		return outcome{}, fmt.Errorf("certifying the root: %w", err)
	}
	return certified(ca.Member{
		Name: "root", Role: ca.RoleRoot, Generation: 1, KeyLabel: rootKey, Token: h.RootKept, Issuer: "root", DER: certificate.Raw,
	})
}

// certifyIssuing lets the root certify an issuing authority, which never
// outlives it.
func (h *House) certifyIssuing(ctx context.Context, c string, generation int) (outcome, error) {
	root, signer, err := h.rootSigner(ctx)
	if err != nil {
		return outcome{}, err
	}
	name := ca.NameOf(ca.RoleIssuing, generation)
	key, err := h.Service.ServiceKey(ctx, labelOf(name))
	if err != nil {
		return outcome{}, fmt.Errorf("finding %s: %w", labelOf(name), err)
	}
	subject, err := h.name(root, ca.RoleIssuing, generation)
	if err != nil {
		return outcome{}, err
	}
	if err := h.intend(ctx, c, name, "root", key.Public()); err != nil {
		return outcome{}, err
	}
	from := h.Now().UTC().Truncate(time.Second)
	until := from.AddDate(h.IssuingYears, 0, 0)
	if root.NotAfter.Before(until) {
		until = root.NotAfter
	}
	certificate, err := ca.CreateIssuing(ca.Issuing{
		Name: subject, PublicKey: key.Public(), NotBefore: from, NotAfter: until,
		Addresses: ca.Addresses{Issuer: h.address("root.cer")}, CRL: h.address("root.crl"),
	}, root, signer, h.Lint)
	if err != nil {
		return outcome{}, fmt.Errorf("certifying %s: %w", name, err)
	}
	return certified(ca.Member{
		Name: name, Role: ca.RoleIssuing, Generation: generation, KeyLabel: labelOf(name), Token: ca.ServiceToken, Issuer: "root",
		DER: certificate.Raw,
	})
}

// certifyService lets an issuing authority certify one of its services.
func (h *House) certifyService(ctx context.Context, c string, issuer ca.Member, role ca.Role, generation int) (outcome, error) {
	authority, err := h.authority(ctx, issuer)
	if err != nil {
		return outcome{}, err
	}
	m := ca.Member{Name: ca.NameOf(role, generation), Role: role, Generation: generation, Token: ca.ServiceToken, Issuer: issuer.Name}
	m.KeyLabel = labelOf(m.Name)
	key, err := h.Service.ServiceKey(ctx, m.KeyLabel)
	if err != nil {
		return outcome{}, fmt.Errorf("finding %s: %w", m.KeyLabel, err)
	}
	r := ca.ServiceRequest{PublicKey: key.Public(), NotBefore: h.Now()}
	if r.Name, err = h.name(authority.Certificate, role, generation); err != nil {
		return outcome{}, err
	}
	prepare := authority.PrepareOCSP
	if role == ca.RoleTSA {
		prepare = authority.PrepareTSA
		if m.Shard, err = h.Store.Shard(ctx, issuer.Name, h.Now()); err != nil {
			return outcome{}, fmt.Errorf("finding the revocation list: %w", err)
		}
		r.CRL = h.address(m.Shard + ".crl")
	}
	prepared, err := prepare(r)
	if err != nil {
		return outcome{}, fmt.Errorf("preparing %s: %w", m.Name, err)
	}
	if err := h.intend(ctx, c, m.Name, issuer.Name, key.Public()); err != nil {
		return outcome{}, err
	}
	if m.DER, err = prepared.Issue(); err != nil {
		return outcome{}, fmt.Errorf("certifying %s: %w", m.Name, err)
	}
	return certified(m)
}

// certified is a member as database, log and minutes have it.
func certified(m ca.Member) (outcome, error) {
	c, err := m.Certificate()
	if err != nil {
		return outcome{}, err
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(m.DER))
	serial := fmt.Sprintf("%x", c.SerialNumber)
	algorithm := AlgorithmOf(c.PublicKey)
	return outcome{
		Members: []ca.Member{m},
		entries: []audit.Entry{{Type: audit.AuthorityIssued, Payload: map[string]any{
			"member": m.Name, "role": string(m.Role), "generation": m.Generation, "issuer": m.Issuer, "label": m.KeyLabel,
			"kept_in": m.Token, "algorithm": algorithm, "serial": serial, "sha256": sum,
			"not_before": c.NotBefore.UTC().Format(time.RFC3339), "not_after": c.NotAfter.UTC().Format(time.RFC3339),
		}}},
		lines: []string{
			fmt.Sprintf("%s: %s, %s, until %s", m.Name, c.Subject.CommonName, algorithm, c.NotAfter.UTC().Format(time.DateOnly)),
			"serial:               " + serial,
			"certificate, SHA-256: " + sum,
		},
	}, nil
}

// and is both outcomes in one.
func (o outcome) and(other outcome) outcome {
	o.Members = append(o.Members, other.Members...)
	o.entries = append(o.entries, other.entries...)
	o.lines = append(o.lines, other.lines...)
	return o
}
