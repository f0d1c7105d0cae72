package signer

import "context"

// NewCode draws a one-time code uniformly.
func NewCode() (Code, error) { return newCode() }

// CheckEnrolment is the stored form of a code that proves the mobile of somebody
// who is not registered with it yet: an HSM HMAC over it and all that it stands
// for.
func (v *Vault) CheckEnrolment(ctx context.Context, pepper int, code Code, fields ...string) ([]byte, error) {
	return v.keys.MAC(ctx, Pepper.Label(pepper), bind(append(append([]string{"enrolment"}, fields...), code.digits)...))
}
