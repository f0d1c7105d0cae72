package oauth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// hashOf is the form in which handles are kept. They are drawn with 256 bits:
// nothing is gained by a slow hash.
func hashOf(handle string) []byte {
	sum := sha256.Sum256([]byte(handle))
	return sum[:]
}

// The handles under which an SAD can be kept: a box for one is none for the
// other.
const (
	underCode  = "code"
	underToken = "token"
)

// box is what an SAD is kept beside.
type box struct {
	under     string
	grantID   string
	requestID string
	until     time.Time
}

func (b box) additional() []byte {
	return []byte("rubrica SAD v1|" + b.under + "|" + b.grantID + "|" + b.requestID + "|" + strconv.FormatInt(b.until.Unix(), 10))
}

// gcm is AES-256-GCM under a key that comes of a handle. Each handle seals once.
func (b box) gcm(handle string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(handle), nil, "rubrica SAD "+b.under+" v1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("opening the cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

func (b box) seal(handle string, sad signer.SAD) ([]byte, error) {
	aead, err := b.gcm(handle)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, []byte(sad.Encode()), b.additional()), nil
}

// open is policies.AuthorisationInvalid for anything but what seal made.
func (b box) open(handle string, sealed []byte) (signer.SAD, error) {
	aead, err := b.gcm(handle)
	if err != nil {
		return signer.SAD{}, err
	}
	if len(sealed) < aead.NonceSize() {
		return signer.SAD{}, policies.Refuse(policies.AuthorisationInvalid)
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], b.additional())
	if err != nil {
		return signer.SAD{}, fmt.Errorf("%w: %w", policies.Refuse(policies.AuthorisationInvalid), err)
	}
	defer clear(plain)
	return signer.ParseSAD(string(plain))
}
