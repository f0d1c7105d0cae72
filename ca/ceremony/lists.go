package ceremony

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
)

// RootList lets the root sign another revocation list, before the old one ends.
func (h *House) RootList(ctx context.Context) error {
	return h.alone(ctx, func() error {
		last, err := h.Store.NewestList(ctx, string(ca.RoleRoot))
		if err != nil {
			return fmt.Errorf("reading the root's list: %w", err)
		}
		c := ceremony{name: "root-crl", title: "Another revocation list of the root."}
		c.add(fmt.Sprint(last.Number+1), fmt.Sprintf("let the root sign its list number %d.", last.Number+1), h.signRootList)
		return h.hold(ctx, c)
	})
}

func (h *House) signRootList(ctx context.Context) (outcome, error) {
	root, signer, err := h.rootSigner(ctx)
	if err != nil {
		return outcome{}, err
	}
	list, revoked, err := h.rootList(ctx, root, signer, h.Now())
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		List:    list,
		entries: []audit.Entry{{Type: audit.KeyCeremony, Payload: listFacts(list, revoked)}},
		lines:   listLines(list, revoked),
	}, nil
}

// rootList is signed, and not stored yet. More is revoked with it.
func (h *House) rootList(
	ctx context.Context, root *x509.Certificate, signer crypto.Signer, now time.Time, more ...ca.Revocation,
) (list *ca.PublishedList, revoked int, err error) {
	last, err := h.Store.NewestList(ctx, string(ca.RoleRoot))
	if err != nil {
		return nil, 0, fmt.Errorf("reading the root's list: %w", err)
	}
	before, err := h.Store.RevokedMembers(ctx, string(ca.RoleRoot))
	if err != nil {
		return nil, 0, fmt.Errorf("reading what the root has revoked: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	l := ca.List{
		Number: last.Number + 1, ThisUpdate: now, NextUpdate: now.AddDate(0, h.RootListMonths, 0), Revoked: slices.Concat(before, more),
	}
	if root.NotAfter.Before(l.NextUpdate) {
		l.NextUpdate = root.NotAfter
	}
	der, err := ca.CRL(l, root, signer)
	if err != nil {
		return nil, 0, err
	}
	return &ca.PublishedList{Number: l.Number, DER: der, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate}, len(l.Revoked), nil
}

func listFacts(l *ca.PublishedList, revoked int) map[string]any {
	return map[string]any{
		"list": "root", "number": l.Number, "entries": revoked, "sha256": fmt.Sprintf("%x", sha256.Sum256(l.DER)),
		"next_update": l.NextUpdate.Format(time.RFC3339),
	}
}

func listLines(l *ca.PublishedList, revoked int) []string {
	return []string{
		fmt.Sprintf("root.crl: number %d, %d revoked, the next one before %s", l.Number, revoked, l.NextUpdate.Format(time.DateOnly)),
		fmt.Sprintf("list, SHA-256: %x", sha256.Sum256(l.DER)),
	}
}

// Cause is why a member is revoked, as a person says it.
type Cause string

// The causes.
const (
	Compromise Cause = "compromise"
	Superseded Cause = "superseded"
	Cessation  Cause = "cessation"
)

// reason is how a list says it: of an authority a compromise is another one
// (RFC 5280, section 5.3.1: cACompromise, 2).
func (c Cause) reason(role ca.Role) ca.Reason {
	switch {
	case c == Compromise && role == ca.RoleIssuing:
		return 2
	case c == Compromise:
		return ca.KeyCompromise
	case c == Superseded:
		return ca.Superseded
	default:
		return ca.CessationOfOperation
	}
}

// Errors of Revoke.
var (
	ErrRoot    = errors.New("nobody can revoke a root: whoever trusts it has to be told, and to remove it")
	ErrRevoked = errors.New("revoked already")
)

// Revoke revokes an issuing authority, by a list of the root that is signed at
// once, or a service, of which its issuer's next list speaks.
func (h *House) Revoke(ctx context.Context, name string, cause Cause) error {
	return h.alone(ctx, func() error {
		m, certificate, err := h.member(ctx, name)
		switch {
		case err != nil:
			return err
		case m.Role == ca.RoleRoot:
			return ErrRoot
		case !m.RevokedAt.IsZero():
			return fmt.Errorf("%s: %w, on %s", name, ErrRevoked, m.RevokedAt.Format(time.DateTime))
		}
		h.Console.Say("Revoke " + name + " (" + certificate.Subject.CommonName + "): " + string(cause) + ". This cannot be undone.")
		h.Console.Say(consequence(m.Role))
		if err := h.confirmed(ctx); err != nil {
			return err
		}
		return h.revoke(ctx, m, certificate, cause.reason(m.Role))
	})
}

// consequence is what people should know before.
func consequence(role ca.Role) string {
	switch role {
	case ca.RoleIssuing:
		return "Every certificate that it issued is worth nothing from then on, and no signature with one validates without a time-stamp from before. " +
			"If it is the one in use, rubrica ca rollover --tsa makes another; if time-stamps are by it, rubrica ca renew tsa."
	case ca.RoleOCSP:
		return "Nobody will notice: a responder's certificate is not checked (RFC 6960, section 4.2.2.2.1) and counts until it ends. " +
			"It only stops answering. After a compromise, its issuer has to be revoked if 90 days are too long."
	default:
		return "Time-stamps made with its key no longer count, those from before among them unless something newer proves their time. " +
			"It stops stamping: rubrica ca renew tsa makes another."
	}
}

func (h *House) revoke(ctx context.Context, m ca.Member, certificate *x509.Certificate, reason ca.Reason) error {
	now := h.Now()
	facts := map[string]any{"member": m.Name, "serial": fmt.Sprintf("%x", certificate.SerialNumber), "reason": int(reason)}
	var list *ca.PublishedList
	if m.Role == ca.RoleIssuing {
		root, signer, err := h.rootSigner(ctx)
		if err != nil {
			return err
		}
		var revoked int
		list, revoked, err = h.rootList(ctx, root, signer, now, ca.Revocation{Serial: certificate.SerialNumber.Bytes(), At: now, Reason: reason})
		if err != nil {
			return err
		}
		facts["list"] = listFacts(list, revoked)
		defer func() {
			for _, line := range listLines(list, revoked) {
				h.Console.Say("    " + line)
			}
		}()
	}
	err := h.Store.RevokeMember(context.WithoutCancel(ctx), m.Name, reason, list, audit.Entry{
		Type: audit.AuthorityRevoked, Operation: operation("revoke-" + m.Name), At: now, Payload: facts,
	})
	if err != nil {
		return fmt.Errorf("recording the revocation: %w", err)
	}
	h.Console.Say(m.Name + " is revoked.")
	return nil
}
