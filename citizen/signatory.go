package citizen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"time"
)

// Signatory signs what an office wants done, so that nobody else can ask for
// it, not even the service's own public side.
type Signatory struct {
	office   string
	audience string
	key      *ecdsa.PrivateKey
	now      func() time.Time
}

// SignatoryConfig says who signs, and for whom.
type SignatoryConfig struct {
	Office   string // client id
	Audience string // public address of the service, without a slash at its end
	// PrivateKey is PKCS #8 in PEM, on P-256.
	PrivateKey string
	Now        func() time.Time
}

// ReadSignatory reads the office's key.
func ReadSignatory(c SignatoryConfig) (*Signatory, error) {
	block, _ := pem.Decode([]byte(c.PrivateKey))
	if block == nil {
		return nil, errors.New("the office's credentials have no private key (PEM)")
	}
	defer clear(block.Bytes)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the office's private key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the office's private key is not on P-256")
	}
	return &Signatory{office: c.Office, audience: c.Audience, key: key, now: c.Now}, nil
}

// Office is the client id of whom it signs for.
func (s *Signatory) Office() string { return s.office }

// Sign makes an act of what is wanted: a value that encodes as the members of
// one. Issuer, audience, time and jti are set here.
func (s *Signatory) Sign(wanted any) (Act, error) {
	payload, err := s.payload(wanted)
	if err != nil {
		return Act{}, fmt.Errorf("encoding an act: %w", err)
	}
	input := toBase64([]byte(`{"alg":"`+actAlgorithm+`","typ":"`+actType+`"}`)) + "." + toBase64(payload)
	sum := sha256.Sum256([]byte(input))
	r, t, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return Act{}, fmt.Errorf("signing an act: %w", err)
	}
	signature := make([]byte, 64) // R ‖ S (RFC 7518, section 3.4)
	r.FillBytes(signature[:32])
	t.FillBytes(signature[32:])
	return Act{Office: s.office, JWS: input + "." + toBase64(signature)}, nil
}

func (s *Signatory) payload(wanted any) ([]byte, error) {
	text, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	members := map[string]any{}
	var given map[string]jsontext.Value
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	for name, value := range given {
		members[name] = value
	}
	maps.Copy(members, map[string]any{"iss": s.office, "aud": s.audience, "iat": s.now().Unix(), "jti": rand.Text()})
	return json.Marshal(members, json.Deterministic(true))
}

func toBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
