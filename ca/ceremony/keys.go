package ceremony

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
)

// Labels of key pairs that belong to no member, or to the first.
const (
	rootKey = "rubrica-root"
	// CheckpointKey signs the checkpoints of the signature log, with Ed25519 as
	// C2SP tlog-checkpoint has it.
	CheckpointKey = "rubrica-checkpoint"
	// formerLogKey was made for the log before the log was published, of a type
	// that no witness takes. Nothing was ever signed with it.
	formerLogKey = "rubrica-log"
)

// labelOf is the label of a member's key.
func labelOf(name string) string { return "rubrica-" + name }

// addKey adds the making of a key pair of the service's token.
func (h *House) addKey(c *ceremony, name, algorithm string) {
	label := labelOf(name)
	c.add(name+"-key", fmt.Sprintf("make the key %s, %s, in the service's token.", label, algorithm),
		func(ctx context.Context) (outcome, error) {
			return h.makeKey(ctx, h.Service, ca.ServiceToken, label, algorithm)
		})
}

// makeKey makes a key pair, or takes the one that an interrupted ceremony left
// under its label.
func (h *House) makeKey(ctx context.Context, token Token, kept, label, algorithm string) (outcome, error) {
	there, err := token.Exists(ctx, label)
	if err != nil {
		return outcome{}, fmt.Errorf("looking for %s: %w", label, err)
	}
	var key crypto.Signer
	if there {
		key, err = token.ServiceKey(ctx, label)
	} else {
		key, err = token.CreateServiceKey(ctx, label, algorithm)
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return outcome{}, fmt.Errorf("making %s, %s: %w: %w", label, algorithm, ErrUnable, err)
	case err != nil:
		return outcome{}, fmt.Errorf("making %s: %w", label, err)
	}
	if got := AlgorithmOf(key.Public()); got != algorithm {
		return outcome{}, fmt.Errorf("%w: the token holds %s already, which is %s and not %s: configure that algorithm, or use an empty token",
			ErrOtherKey, label, got, algorithm)
	}
	if err := try(key); err != nil {
		return outcome{}, fmt.Errorf("trying %s: %w", label, err)
	}
	sum, err := keySum(key.Public())
	if err != nil {
		return outcome{}, err
	}
	how := "made"
	if there {
		how = "found, as an interrupted ceremony left it"
	}
	return outcome{
		entries: []audit.Entry{{Type: audit.KeyGenerated, Payload: map[string]any{
			"label": label, "algorithm": algorithm, "kept_in": kept, "key_sha256": sum, "found": there,
		}}},
		lines: []string{fmt.Sprintf("%s: %s, %s, in the %s token", label, how, algorithm, kept), "public key, SHA-256: " + sum},
	}, nil
}

// AlgorithmOf names the algorithm of a public key as settings do.
func AlgorithmOf(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ec-" + strings.ToLower(strings.ReplaceAll(key.Curve.Params().Name, "-", ""))
	case ed25519.PublicKey:
		return "ed25519"
	default:
		return fmt.Sprintf("%T", key)
	}
}

// keySum is the SHA-256 of the key as certificates have it.
func keySum(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encoding a public key: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(der)), nil
}

// try lets a key sign something that is no certificate, so that both its halves
// are known to belong together before anything depends on them.
func try(key crypto.Signer) error {
	digest := sha256.Sum256([]byte("rubrica: trial of a key in a ceremony"))
	var opts crypto.SignerOpts = crypto.SHA256
	if _, isEdwards := key.Public().(ed25519.PublicKey); isEdwards {
		opts = crypto.Hash(0) // the digest is the message then
	}
	signature, err := key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
			return fmt.Errorf("%w: its halves do not belong together: %w", ErrOtherKey, err)
		}
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(public, digest[:], signature) {
			return fmt.Errorf("%w: its halves do not belong together", ErrOtherKey)
		}
	case ed25519.PublicKey:
		if !ed25519.Verify(public, digest[:], signature) {
			return fmt.Errorf("%w: its halves do not belong together", ErrOtherKey)
		}
	default:
		return fmt.Errorf("%w: of type %T", ErrOtherKey, public)
	}
	return nil
}

// rootSigner finds the key of the root, wherever it is: old deployments have it
// in the service's token, from where an officer may have cloned it into the
// root's by the means of the HSM.
func (h *House) rootSigner(ctx context.Context) (*x509.Certificate, crypto.Signer, error) {
	m, certificate, err := h.member(ctx, string(ca.RoleRoot))
	if err != nil {
		return nil, nil, err
	}
	if m.Token == ca.ServiceToken {
		key, err := keyOf(ctx, h.Service, m, certificate)
		if !errors.Is(err, errMissing) {
			return certificate, key, err
		}
	}
	token, err := h.Root(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the root's token: %w", err)
	}
	key, err := keyOf(ctx, token, m, certificate)
	if errors.Is(err, errMissing) || errors.Is(err, ErrOtherKey) {
		return nil, nil, fmt.Errorf("%w: this is not the token of this root: name the right one with --root-token-label, "+
			"--root-pkcs11-module and --root-pin-file", err)
	}
	return certificate, key, err
}

// errMissing means that the key is not in this token.
var errMissing = errors.New("no such key in the token")

// keyOf is the key of a certificate, if this token has it.
func keyOf(ctx context.Context, token Token, m ca.Member, certificate *x509.Certificate) (crypto.Signer, error) {
	there, err := token.Exists(ctx, m.KeyLabel)
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", m.KeyLabel, err)
	}
	if !there {
		return nil, fmt.Errorf("%w: %s", errMissing, m.KeyLabel)
	}
	key, err := token.ServiceKey(ctx, m.KeyLabel)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", m.KeyLabel, err)
	}
	if !same(certificate.PublicKey, key.Public()) {
		return nil, fmt.Errorf("%w: %s is not the key of the certificate of %s", ErrOtherKey, m.KeyLabel, m.Name)
	}
	return key, nil
}

func same(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}
