package hsm

import (
	"context"
	"fmt"

	"github.com/miekg/pkcs11"
)

// object names a token object: its class (CKO_…) and its label.
type object struct {
	class uint
	label string
}

func privateKey(label string) object { return object{pkcs11.CKO_PRIVATE_KEY, label} }
func publicKey(label string) object  { return object{pkcs11.CKO_PUBLIC_KEY, label} }
func secretKey(label string) object  { return object{pkcs11.CKO_SECRET_KEY, label} }

// Exists reports whether the token holds a private or secret key of that label.
func (t *Token) Exists(ctx context.Context, label string) (bool, error) {
	var exists bool
	err := t.do(ctx, func(s *session) (err error) {
		exists, err = t.exists(s, label)
		return err
	})
	return exists, err
}

func (t *Token) exists(s *session, label string) (bool, error) {
	for _, o := range []object{privateKey(label), secretKey(label)} {
		found, err := t.find(s, o)
		if err != nil || len(found) > 0 {
			return len(found) > 0, err
		}
	}
	return false, t.ours(s)
}

// Destroy removes every object of that label from the token for ever. It
// returns ErrNoKey if there is none.
func (t *Token) Destroy(ctx context.Context, label string) error {
	if err := t.writes.take(t.wait); err != nil {
		return err
	}
	defer t.writes.drop()
	destroyed := 0
	err := t.do(ctx, func(s *session) error {
		n, err := t.destroyAll(s, label)
		destroyed += n
		return err
	})
	switch {
	case err != nil:
		return err
	case destroyed == 0:
		return fmt.Errorf("%w: %q", ErrNoKey, label)
	default:
		return t.forgetExpected(label)
	}
}

// destroyAll removes the objects of that label and counts them.
func (t *Token) destroyAll(s *session, label string) (int, error) {
	destroyed := 0
	for _, o := range []object{privateKey(label), secretKey(label), publicKey(label)} {
		found, err := t.find(s, o)
		if err != nil {
			return destroyed, err
		}
		for _, handle := range found {
			if err := t.module.DestroyObject(s.handle, handle); err != nil {
				return destroyed, fmt.Errorf("destroying %q: %w", label, err)
			}
			destroyed++
		}
		t.handles.forget(o)
	}
	return destroyed, nil
}

// create runs generate if no key has the label yet, one creation at a time.
func (t *Token) create(ctx context.Context, label string, generate func(*session) error) error {
	if err := t.writes.take(t.wait); err != nil {
		return err
	}
	defer t.writes.drop()
	begun := false
	attempt := func(s *session) error {
		exists, err := t.exists(s, label)
		switch {
		case err != nil:
			return err
		case exists && !begun:
			return fmt.Errorf("%w: %q", ErrKeyExists, label)
		case exists: // by our own first try, which the token broke off
			if _, err := t.destroyAll(s, label); err != nil {
				return err
			}
		}
		begun = true
		if err := generate(s); err != nil {
			return fmt.Errorf("generating %q: %w", label, err)
		}
		return nil
	}
	err := t.do(ctx, attempt)
	for tries := 1; spoilt(err) && tries < 3; tries++ {
		err = t.do(ctx, attempt)
	}
	return err
}

// resolve is the handle of the only object of that class and label.
func (t *Token) resolve(s *session, o object) (pkcs11.ObjectHandle, error) {
	if handle, known := t.handles.get(o); known {
		return handle, nil
	}
	found, err := t.find(s, o)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		if err := t.ours(s); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%w: %q", ErrNoKey, o.label)
	case len(found) > 1:
		return 0, fmt.Errorf("%w: several keys are labelled %q", ErrAmbiguous, o.label)
	}
	t.handles.put(o, found[0], func() bool { return s.epoch == t.epoch.Load() })
	return found[0], nil
}

// find lists the token objects of that class and label, a few at most.
func (t *Token) find(s *session, o object) (_ []pkcs11.ObjectHandle, err error) {
	template := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, o.class),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, o.label),
	}
	if err := t.module.FindObjectsInit(s.handle, template); err != nil {
		return nil, fmt.Errorf("looking for %q: %w", o.label, err)
	}
	found, _, err := t.module.FindObjects(s.handle, 8)
	if final := t.module.FindObjectsFinal(s.handle); err == nil {
		err = final
	}
	if err != nil {
		return nil, fmt.Errorf("looking for %q: %w", o.label, err)
	}
	if len(found) == 0 {
		err = t.loggedIn(s)
	}
	return found, err
}

// loggedIn tells "not there" from "not visible": to a session that has been
// logged out a token shows no private objects, and calls that no error.
func (t *Token) loggedIn(s *session) error {
	info, err := t.module.GetSessionInfo(s.handle)
	if err != nil {
		return fmt.Errorf("asking for the session's state: %w", err)
	}
	if info.State != pkcs11.CKS_RW_USER_FUNCTIONS {
		return pkcs11.Error(pkcs11.CKR_USER_NOT_LOGGED_IN)
	}
	return nil
}

// ours tells "not there" from "nothing there": a token that was taken away or
// initialised anew may look like an empty one, and callers act upon a missing
// key. So some key of Expect must be there.
func (t *Token) ours(s *session) error {
	canary := t.canary.Load()
	if canary == nil || s == t.anchor { // which looks for the canary itself
		return nil
	}
	found, err := t.find(s, *canary)
	if err == nil && len(found) == 0 {
		return fmt.Errorf("looking for %q: %w", canary.label, pkcs11.Error(pkcs11.CKR_TOKEN_NOT_PRESENT))
	}
	return err
}

// flag is one boolean attribute of a template.
func flag(kind uint, value bool) *pkcs11.Attribute { return pkcs11.NewAttribute(kind, value) }
