package signer

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/rubrica-firma/rubrica/policies"
)

// Keys is what the ceremony needs of the HSM. hsm.Token fulfils it.
type Keys interface {
	// MAC is HMAC-SHA-256 under a key that never leaves the token.
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)

	// GenerateWrapped makes a key pair in the token and returns the private
	// key only wrapped under the key-encryption key.
	GenerateWrapped(ctx context.Context, kek, algorithm string) (crypto.PublicKey, []byte, error)
	// WithWrapped unwraps to a session object, lends it to use, and destroys
	// it before it returns, whatever use did.
	WithWrapped(ctx context.Context, kek, algorithm string, public crypto.PublicKey, blob []byte, use func(crypto.Signer) error) error

	// CreateTokenKey makes a key pair of which the private half stays in the
	// token, under that label.
	CreateTokenKey(ctx context.Context, label, algorithm string) (crypto.PublicKey, error)
	// WithTokenKey lends it to use.
	WithTokenKey(ctx context.Context, label, algorithm string, public crypto.PublicKey, use func(crypto.Signer) error) error
	// Exists reports whether the token has an object of that label, and Destroy
	// removes it for ever.
	Exists(ctx context.Context, label string) (bool, error)
	Destroy(ctx context.Context, label string) error
}

// Cost is what one password guess costs (RFC 9106).
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultCost is 64 MiB, 3 passes, 1 lane.
func DefaultCost() Cost { return Cost{MemoryKiB: 64 << 10, Passes: 3, Lanes: 1} }

// Sealed is a private key that only HSM and password together can open
// (DESIGN section 5). An empty payload makes it the password's check before
// there is a key; no other password hash exists.
type Sealed struct {
	CitizenID    string
	CredentialID string
	Generation   int64
	Pepper       int // epoch
	Salt         []byte
	Cost         Cost
	Box          []byte // nonce ‖ AES-256-GCM
}

// additional binds the box to its row: moved to another citizen, credential or
// generation it does not open.
func (s Sealed) additional() []byte {
	return bind("rubrica sealed v1", s.CitizenID, s.CredentialID, fmt.Sprint(s.Generation))
}

// Vault seals and opens. It bounds how many argon2id evaluations run at once:
// each takes Cost.MemoryKiB, so over capacity it refuses rather than swell.
type Vault struct {
	keys    Keys
	cost    Cost
	epochs  atomic.Pointer[Epochs]
	running chan struct{}
	waiting chan struct{}
}

// VaultConfig names the parts of a Vault.
type VaultConfig struct {
	Keys   Keys
	Epochs Epochs // until Adopt names newer ones
	Cost   Cost   // of new boxes; older ones move at their next use
	// Parallel is how many evaluations run at once; Queue how many more wait.
	Parallel, Queue int
}

// NewVault makes a Vault.
func NewVault(c VaultConfig) *Vault {
	v := &Vault{
		keys:    present{c.Keys},
		cost:    c.Cost,
		running: make(chan struct{}, max(1, c.Parallel)),
		waiting: make(chan struct{}, max(1, c.Parallel)+c.Queue),
	}
	v.Adopt(c.Epochs)
	return v
}

// present has people come back where the token does not do its part: why is for
// the operator.
type present struct{ Keys }

func (p present) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	mac, err := p.Keys.MAC(ctx, label, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", policies.Refuse(policies.Unavailable).After(5*time.Second), err)
	}
	return mac, nil
}

// Adopt makes epochs the ones for new work.
func (v *Vault) Adopt(e Epochs) { v.epochs.Store(&e) }

// Epochs are the ones for new work.
func (v *Vault) Epochs() Epochs { return *v.epochs.Load() }

var errSeal = errors.New("sealed box does not open")

// admit takes a place among those whose passwords are evaluated or wait for it
// (policies.Busy).
func (v *Vault) admit() (leave func(), err error) {
	select {
	case v.waiting <- struct{}{}:
		return sync.OnceFunc(func() { <-v.waiting }), nil
	default:
		return nil, policies.Refuse(policies.Busy).After(2 * time.Second)
	}
}

// sealingKey is derive for whoever has no place yet.
func (v *Vault) sealingKey(ctx context.Context, s Sealed, password []byte) ([]byte, error) {
	leave, err := v.admit()
	if err != nil {
		return nil, err
	}
	defer leave()
	return v.derive(ctx, s, password)
}

// derive turns a password into the key of one credential's box:
// Ks = HKDF(HMAC_hsm(pepper, "seal" | credential | argon2id(password, salt))).
func (v *Vault) derive(ctx context.Context, s Sealed, password []byte) ([]byte, error) {
	stretched, err := v.stretch(ctx, s, password)
	if err != nil {
		return nil, err
	}
	defer zero(stretched)
	mac, err := v.keys.MAC(ctx, Pepper.Label(s.Pepper), append(bind("seal", s.CredentialID), stretched...))
	if err != nil {
		return nil, fmt.Errorf("keying the seal: %w", err)
	}
	defer zero(mac)
	return hkdf.Key(sha256.New, mac, nil, "rubrica seal v1", 32)
}

func (v *Vault) stretch(ctx context.Context, s Sealed, password []byte) ([]byte, error) {
	select {
	case v.running <- struct{}{}:
		defer func() { <-v.running }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a password slot: %w", ctx.Err())
	}
	return argon2.IDKey(password, s.Salt, s.Cost.Passes, s.Cost.MemoryKiB, s.Cost.Lanes, 32), nil
}

// Enrol seals an empty payload under a new password: from now on opening it is
// the password check.
func (v *Vault) Enrol(ctx context.Context, citizenID, credentialID string, password []byte) (Sealed, error) {
	sealed, ks, err := v.seal(ctx, Sealed{CitizenID: citizenID, CredentialID: credentialID, Generation: 1}, password, nil)
	zero(ks)
	return sealed, err
}

// seal puts a payload into a fresh box, at today's cost and under today's
// pepper, and returns the sealing key too.
func (v *Vault) seal(ctx context.Context, s Sealed, password, payload []byte) (Sealed, []byte, error) {
	s.Salt, s.Cost, s.Pepper = make([]byte, 16), v.cost, v.Epochs().Pepper
	rand.Read(s.Salt)
	ks, err := v.sealingKey(ctx, s, password)
	if err != nil {
		return Sealed{}, nil, err
	}
	s, err = s.reseal(ks, payload)
	return s, ks, err
}

// Reseal moves what a box holds under another password, one generation on.
// ks is the sealing key that opens it now.
func (v *Vault) Reseal(ctx context.Context, s Sealed, ks, password []byte) (Sealed, error) {
	payload, err := s.open(ks)
	if err != nil {
		return Sealed{}, err
	}
	defer zero(payload)
	s.Generation++
	s, next, err := v.seal(ctx, s, password, payload)
	zero(next)
	return s, err
}

// Opens reports whether a password opens a box: how a new password is compared
// with the last one, of which no hash exists.
func (v *Vault) Opens(ctx context.Context, s Sealed, password []byte) (bool, error) {
	ks, err := v.sealingKey(ctx, s, password)
	if err != nil {
		return false, err
	}
	defer zero(ks)
	payload, err := s.open(ks)
	zero(payload)
	return err == nil, nil
}

// reseal puts a payload into the box under a known sealing key.
func (s Sealed) reseal(ks, payload []byte) (Sealed, error) {
	box, err := encrypt(ks, payload, s.additional())
	if err != nil {
		return Sealed{}, err
	}
	s.Box = box
	return s, nil
}

func (s Sealed) open(ks []byte) ([]byte, error) { return decrypt(ks, s.Box, s.additional()) }

// CheckActivation is the stored form of an activation code, under the pepper
// of an epoch.
func (v *Vault) CheckActivation(ctx context.Context, pepper int, citizenID, code string) ([]byte, error) {
	return v.keys.MAC(ctx, Pepper.Label(pepper), bind("activation", citizenID, code))
}

// decoy is a box that nothing opens, so that an unknown citizen costs what a
// wrong password costs.
func (v *Vault) decoy() Sealed {
	s := Sealed{CitizenID: "-", CredentialID: "decoy", Generation: 1, Pepper: v.Epochs().Pepper, Salt: make([]byte, 16), Cost: v.cost, Box: make([]byte, 12+16)}
	rand.Read(s.Box)
	return s
}

func encrypt(key, plain, additional []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, additional), nil
}

func decrypt(key, box, additional []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	if len(box) < aead.NonceSize() {
		return nil, errSeal
	}
	plain, err := aead.Open(nil, box[:aead.NonceSize()], box[aead.NonceSize():], additional)
	if err != nil {
		return nil, errSeal
	}
	return plain, nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("keying AES: %w", err)
	}
	return cipher.NewGCM(block)
}

// bind joins fields with their lengths, so that no two lists join alike.
func bind(fields ...string) []byte {
	var out []byte
	for _, f := range fields {
		out = binary.BigEndian.AppendUint32(out, uint32(len(f))) //nolint:gosec // fields are short
		out = append(out, f...)
	}
	return out
}
