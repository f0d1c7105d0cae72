package ceremony

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rubrica-firma/rubrica/ca"
)

// Rollover makes another issuing authority, with a responder of its own, and
// lets it take over in one moment: from then on the old one issues nothing, and
// goes on signing its lists and its answers until its last certificate has
// ended.
func (h *House) Rollover(ctx context.Context) error {
	return h.alone(ctx, func() error {
		hierarchy, err := h.Store.Hierarchy(ctx)
		if err != nil {
			return fmt.Errorf("reading the hierarchy: %w", err)
		}
		if _, there := hierarchy.Named(string(ca.RoleRoot)); !there {
			return fmt.Errorf("%w: root", ErrNoMember)
		}
		c, err := h.takeover(ctx, hierarchy)
		if err != nil {
			return err
		}
		return h.hold(ctx, c)
	})
}

// takeover goes on with the newest generation if its ceremony was interrupted.
func (h *House) takeover(ctx context.Context, hierarchy ca.Hierarchy) (ceremony, error) {
	done, err := h.Store.CeremonySteps(ctx)
	if err != nil {
		return ceremony{}, fmt.Errorf("reading what has been done: %w", err)
	}
	generation, responder := hierarchy.Next(ca.RoleIssuing), hierarchy.Next(ca.RoleOCSP)
	newest := fmt.Sprintf("rollover-%d/", generation-1)
	begun := slices.ContainsFunc(slices.Collect(maps.Keys(done)), func(step string) bool { return strings.HasPrefix(step, newest) })
	if _, ended := done[newest+"root-crl"]; begun && !ended {
		generation--
		for _, m := range slices.Backward(hierarchy.Under(ca.NameOf(ca.RoleIssuing, generation))) {
			if m.Role == ca.RoleOCSP {
				responder = m.Generation // in the end, that which took over with it
			}
		}
	}
	issuing, ocsp := ca.NameOf(ca.RoleIssuing, generation), ca.NameOf(ca.RoleOCSP, responder)
	c := ceremony{name: fmt.Sprintf("rollover-%d", generation), title: "Another issuing authority takes over."}
	h.addKey(&c, issuing, h.IssuingAlgorithm)
	h.addKey(&c, ocsp, h.OCSPAlgorithm)
	c.add(issuing, fmt.Sprintf("let the root certify %s, let that certify %s, and let them take over.", issuing, ocsp),
		func(ctx context.Context) (outcome, error) { return h.takeOver(ctx, c.name, generation, responder) })
	c.add("root-crl", "let the root sign its revocation list, while its token is here.", h.signRootList)
	return c, nil
}

func (h *House) takeOver(ctx context.Context, c string, generation, responder int) (outcome, error) {
	hierarchy, err := h.Store.Hierarchy(ctx)
	if err != nil {
		return outcome{}, fmt.Errorf("reading the hierarchy: %w", err)
	}
	issuing, err := h.certifyIssuing(ctx, c, generation)
	if err != nil {
		return outcome{}, err
	}
	ocsp, err := h.certifyService(ctx, c, issuing.Members[0], ca.RoleOCSP, responder)
	if err != nil {
		return outcome{}, err
	}
	o := issuing.and(ocsp)
	for _, m := range hierarchy.Of(ca.RoleIssuing) {
		if m.RetiredAt.IsZero() {
			o.Retire = append(o.Retire, m.Name)
			o.lines = append(o.lines, m.Name+" issues nothing more; its lists and answers go on")
		}
	}
	return o, nil
}

// ErrRole is a role whose keys are not renewed by themselves.
var ErrRole = errors.New("only ocsp and tsa are renewed; for an issuing authority see rubrica ca rollover")

// Renew gives a service a new key, and a certificate by the issuing authority
// that it answers for. issuer is empty for the current one; only a responder may
// have another. The service's last key rests from then on.
func (h *House) Renew(ctx context.Context, role ca.Role, issuer string) error {
	return h.alone(ctx, func() error {
		hierarchy, err := h.Store.Hierarchy(ctx)
		if err != nil {
			return fmt.Errorf("reading the hierarchy: %w", err)
		}
		by, err := certifier(hierarchy, role, issuer)
		if err != nil {
			return err
		}
		return h.hold(ctx, h.renewal(hierarchy, role, by))
	})
}

func certifier(hierarchy ca.Hierarchy, role ca.Role, name string) (ca.Member, error) {
	if role != ca.RoleOCSP && role != ca.RoleTSA || role == ca.RoleTSA && name != "" {
		return ca.Member{}, ErrRole
	}
	by, there := hierarchy.Current(ca.RoleIssuing)
	if name != "" {
		by, there = hierarchy.Named(name)
	}
	if !there || by.Role != ca.RoleIssuing || !by.RevokedAt.IsZero() {
		return ca.Member{}, fmt.Errorf("%w: an issuing authority %s", ErrNoMember, name)
	}
	return by, nil
}

func (h *House) renewal(hierarchy ca.Hierarchy, role ca.Role, by ca.Member) ceremony {
	generation, algorithm := hierarchy.Next(role), h.OCSPAlgorithm
	if role == ca.RoleTSA {
		algorithm = h.TSAAlgorithm
	}
	name := ca.NameOf(role, generation)
	c := ceremony{name: "renew-" + name, title: "A new key for a service of " + by.Name + "."}
	h.addKey(&c, name, algorithm)
	c.add(name, fmt.Sprintf("let %s certify %s, and let it take over.", by.Name, name), func(ctx context.Context) (outcome, error) {
		o, err := h.certifyService(ctx, c.name, by, role, generation)
		if err != nil {
			return outcome{}, err
		}
		for _, m := range hierarchy.Of(role) {
			if m.RetiredAt.IsZero() && (role == ca.RoleTSA || m.Issuer == by.Name) {
				o.Retire = append(o.Retire, m.Name)
				o.lines = append(o.lines, m.Name+" is not used any more")
			}
		}
		return o, nil
	})
	return c
}
