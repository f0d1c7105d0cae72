package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Role is what a member of the hierarchy is for.
type Role string

// The roles.
const (
	RoleRoot    Role = "root"
	RoleIssuing Role = "issuing"
	RoleOCSP    Role = "ocsp" // delegated responder of one issuing authority (RFC 6960, section 4.2.2.2)
	RoleTSA     Role = "tsa"
)

// Where a member's private key is.
const (
	ServiceToken = "service"
	RootToken    = "root" // off line but for ceremonies
)

// Member is an authority or one of its services, as it is kept.
type Member struct {
	Name       string // root, issuing-1, ocsp-1, tsa-1 …
	Role       Role
	Generation int // grows with each that takes over
	KeyLabel   string
	Token      string // ServiceToken or RootToken
	DER        []byte
	Issuer     string // the name of who certified it; its own for the root
	Shard      string // revocation list that it names among its issuer's, if any
	CreatedAt  time.Time
	RetiredAt  time.Time // zero while new work is done with its key
	RevokedAt  time.Time // zero unless revoked
	Reason     Reason
}

// Place is where a certificate belongs: who issued it, and which revocation
// list would name it.
type Place struct{ Issuer, Shard string }

// Shard is a revocation list with the authority that signs it.
type Shard struct {
	Name   string
	Issuer string
	// Ends is when the last certificate that names it expires; zero as long as
	// another may come to name it.
	Ends time.Time
}

// Change is a certificate whose status is not what it was: issued, revoked,
// suspended or released. Seq is the order in which that became so.
type Change struct {
	Seq    int64
	Serial string // lower-case hexadecimal
	Place
}

// NameOf is the name of a generation.
func NameOf(role Role, generation int) string {
	if role == RoleRoot {
		return string(RoleRoot)
	}
	return fmt.Sprintf("%s-%d", role, generation)
}

// Certificate reads the member's certificate.
func (m Member) Certificate() (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(m.DER)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of %s: %w", m.Name, err)
	}
	return c, nil
}

// InUse reports whether new work is done with the member's key.
func (m Member) InUse() bool { return m.RetiredAt.IsZero() && m.RevokedAt.IsZero() }

// Hierarchy is all that was ever certified above citizens, oldest first.
type Hierarchy []Member

// Named finds a member.
func (h Hierarchy) Named(name string) (Member, bool) {
	i := slices.IndexFunc(h, func(m Member) bool { return m.Name == name })
	if i < 0 {
		return Member{}, false
	}
	return h[i], true
}

// Current is the newest member of a role that is in use.
func (h Hierarchy) Current(role Role) (Member, bool) {
	var found Member
	for _, m := range h {
		if m.Role == role && m.InUse() && m.Generation > found.Generation {
			found = m
		}
	}
	return found, found.Name != ""
}

// Next is the generation after the newest of a role, whether in use or not.
func (h Hierarchy) Next(role Role) int {
	next := 1
	for _, m := range h {
		if m.Role == role {
			next = max(next, m.Generation+1)
		}
	}
	return next
}

// Of lists the members of a role, oldest first.
func (h Hierarchy) Of(role Role) []Member {
	var out []Member
	for _, m := range h {
		if m.Role == role {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return a.Generation - b.Generation })
	return out
}

// ErrAuthorityRevoked means that whoever certified something has been revoked.
var ErrAuthorityRevoked = errors.New("issuing authority revoked")

// Under lists what a member certified, oldest first.
func (h Hierarchy) Under(name string) []Member {
	var out []Member
	for _, m := range h {
		if m.Issuer == name && m.Name != name {
			out = append(out, m)
		}
	}
	return out
}
