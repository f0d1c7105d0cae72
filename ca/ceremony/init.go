package ceremony

import (
	"context"
	"fmt"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
)

// Init holds the first ceremony: all the keys, the whole hierarchy, the root's
// first list. A deployment of an older version gets what it lacks.
func (h *House) Init(ctx context.Context) error {
	return h.alone(ctx, func() error {
		if err := h.hold(ctx, h.first()); err != nil {
			return err
		}
		if err := h.adviseOnRoot(ctx); err != nil {
			return err
		}
		return h.adviseOnLog(ctx)
	})
}

// alone keeps other ceremonies out while one is held.
func (h *House) alone(ctx context.Context, held func() error) error {
	release, err := h.Store.Alone(ctx)
	if err != nil {
		return err
	}
	defer release()
	return held()
}

// first is in this order for two reasons. The secret keys come first, since by
// their check values any other token is recognised from then on. And the steps
// that need the root's token follow each other, so that it can go back to where
// it is kept before the rest.
func (h *House) first() ceremony {
	c := ceremony{name: "init", title: "The first ceremony of keys."}
	c.add("secrets", "make the secret keys for citizens' keys, passwords and records in the service's token.", h.makeSecrets)
	c.add("checkpoint-key", fmt.Sprintf("make the key %s, ed25519, in the service's token.", CheckpointKey), func(ctx context.Context) (outcome, error) {
		return h.makeKey(ctx, h.Service, ca.ServiceToken, CheckpointKey, "ed25519")
	})
	c.add("root-key", fmt.Sprintf("make the key %s, %s, in the %s token.", rootKey, h.RootAlgorithm, h.RootKept), h.makeRootKey)
	c.add("root", fmt.Sprintf("certify the root by itself, for %d years.", h.RootYears), func(ctx context.Context) (outcome, error) {
		return h.certifyRoot(ctx, c.name)
	})
	h.addKey(&c, "issuing-1", h.IssuingAlgorithm)
	c.add("issuing-1", fmt.Sprintf("let the root certify issuing-1, for %d years.", h.IssuingYears), func(ctx context.Context) (outcome, error) {
		return h.certifyIssuing(ctx, c.name, 1)
	})
	c.add("root-crl", "let the root sign its revocation list. The root's token is not needed after this.", func(ctx context.Context) (outcome, error) {
		return h.signRootList(ctx)
	})
	for _, service := range []struct {
		role      ca.Role
		algorithm string
	}{{ca.RoleOCSP, h.OCSPAlgorithm}, {ca.RoleTSA, h.TSAAlgorithm}} {
		name := ca.NameOf(service.role, 1)
		h.addKey(&c, name, service.algorithm)
		c.add(name, "let issuing-1 certify "+name+".", func(ctx context.Context) (outcome, error) {
			issuer, _, err := h.member(ctx, ca.NameOf(ca.RoleIssuing, 1))
			if err != nil {
				return outcome{}, err
			}
			return h.certifyService(ctx, c.name, issuer, service.role, 1)
		})
	}
	return c
}

func (h *House) makeSecrets(ctx context.Context) (outcome, error) {
	secrets, err := h.Secrets.Make(ctx)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{Secrets: secrets, Keeper: h.Keeper}
	for _, s := range secrets {
		value := fmt.Sprintf("%x", s.CheckValue)
		o.entries = append(o.entries, audit.Entry{Type: audit.KeyEpochBegun, Payload: map[string]any{"key": s.Label, "check_value": value}})
		o.lines = append(o.lines, fmt.Sprintf("%s: check value %s", s.Label, value))
	}
	o.lines = append(o.lines, "citizens' keys are kept: "+h.Keeper)
	return o, nil
}

// newRootToken is where the key of a root that is being made belongs.
func (h *House) newRootToken(ctx context.Context) (Token, error) {
	if h.RootKept == ca.ServiceToken {
		return h.Service, nil
	}
	token, err := h.Root(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the root's token: %w", err)
	}
	return token, nil
}

func (h *House) makeRootKey(ctx context.Context) (outcome, error) {
	// A name that no certificate can hold is found before there is a key.
	for _, role := range []ca.Role{ca.RoleRoot, ca.RoleIssuing, ca.RoleOCSP, ca.RoleTSA} {
		if _, err := h.name(nil, role, 1); err != nil {
			return outcome{}, err
		}
	}
	token, err := h.newRootToken(ctx)
	if err != nil {
		return outcome{}, err
	}
	return h.makeKey(ctx, token, h.RootKept, rootKey, h.RootAlgorithm)
}

// RootOnline is what is said where the root's key is in the service's token.
const RootOnline = "The root's key is in the service's token, on line: whoever has the service's PIN can sign as the root. " +
	"It cannot be exported. Where the HSM can clone a partition or an object, have its officer clone rubrica-root into a token of its own, " +
	"destroy it in the service's, and name the new one with --root-token-label: ceremonies find it there. Where it cannot, " +
	"the next deployment begins with a root of its own token."

func (h *House) adviseOnRoot(ctx context.Context) error {
	m, _, err := h.member(ctx, string(ca.RoleRoot))
	if err != nil || m.Token != ca.ServiceToken {
		return err
	}
	there, err := h.Service.Exists(ctx, m.KeyLabel)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", m.KeyLabel, err)
	}
	if there {
		h.Console.Say(RootOnline)
	}
	return nil
}

// LogKeyUnused is said where an older version has left its key for the log.
const LogKeyUnused = "The service's token holds " + formerLogKey + ", which an older version made and nothing has ever used. " +
	CheckpointKey + " signs the log's checkpoints. It may stay, or its objects may be deleted with the HSM's own tools."

func (h *House) adviseOnLog(ctx context.Context) error {
	there, err := h.Service.Exists(ctx, formerLogKey)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", formerLogKey, err)
	}
	if there {
		h.Console.Say(LogKeyUnused)
	}
	return nil
}
