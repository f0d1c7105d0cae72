package requests

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// HashLimit is how many hashes one consent may be over: what credentials of the
// CSC door announce as multisign.
const HashLimit = 100

// HashSubmission is what a back end asks of which only hashes are known.
type HashSubmission struct {
	Client     signer.Client
	Identifier string // normalised DNI or NIE
	Title      string
	Locale     string
	// ReturnURL is where the citizen's pages end. It is the caller's own, and not
	// held against the client's addresses.
	ReturnURL string
	Key       string        // of idempotency
	Life      time.Duration // zero is that of other requests
	Hash      string        // OID of the algorithm
	Hashes    []LabelledHash
}

// LabelledHash is a hash with the name that its citizen reads.
type LabelledHash struct {
	Label string
	Value []byte
}

// SubmitHashes takes a request over hashes in. The same key with the same hashes
// gives the same request again.
func (s *Service) SubmitHashes(ctx context.Context, sub HashSubmission) (signer.Request, error) {
	if err := sub.check(); err != nil {
		return signer.Request{}, err
	}
	body := sub.fingerprint()
	id, err := s.Store.EarlierRequest(ctx, sub.Client.ID, sub.Key, body)
	if err != nil {
		return signer.Request{}, err
	}
	if id == "" {
		if id, _, err = s.Store.AddRequest(ctx, sub.request(s.Now(), s.Limits.Life, body)); err != nil {
			return signer.Request{}, err
		}
	}
	if err := s.Opener.Open(ctx, id); err != nil {
		return signer.Request{}, err
	}
	return s.Store.Request(ctx, id)
}

func (sub HashSubmission) check() error {
	switch {
	case sub.Key == "" || len(sub.Key) > 255:
		return policies.Refuse(policies.IdempotencyKeyMissing)
	case !plainText(sub.Title, 200):
		return policies.Refuse(policies.RequestMalformed, "field", "title")
	case len(sub.Hashes) == 0:
		return policies.Refuse(policies.RequestMalformed, "field", "hashes")
	case len(sub.Hashes) > HashLimit:
		return policies.Refuse(policies.RequestTooManyDocs, "limit", "100")
	}
	seen := make(map[string]bool, len(sub.Hashes))
	for i, h := range sub.Hashes {
		if _, err := signer.ParseDigest(sub.Hash, h.Value); err != nil {
			return inDocument(err, i)
		}
		// Values are asked for by their hashes: two that are alike could not be told apart.
		if !plainText(h.Label, 200) || seen[string(h.Value)] {
			return inDocument(policies.Refuse(policies.RequestMalformed, "field", "hashes"), i)
		}
		seen[string(h.Value)] = true
	}
	return nil
}

// fingerprint stands for the body of the request, which the caller may not have.
func (sub HashSubmission) fingerprint() []byte {
	h := sha256.New()
	for _, field := range []string{sub.Identifier, sub.Title, sub.Hash} {
		h.Write([]byte(field + "\x00"))
	}
	for _, hash := range sub.Hashes {
		h.Write(append([]byte(hash.Label+"\x00"), hash.Value...))
	}
	return h.Sum(nil)
}

func (sub HashSubmission) request(now time.Time, life time.Duration, body []byte) signer.NewRequest {
	if sub.Life > 0 {
		life = sub.Life
	}
	r := signer.Request{
		ID: rand.Text(), Application: sub.Client.Application, Identifier: sub.Identifier, Title: sub.Title, Locale: sub.Locale,
		ReturnURL: sub.ReturnURL, CreatedAt: now, ExpiresAt: now.Add(life),
	}
	for i, h := range sub.Hashes {
		sum := sha256.Sum256(h.Value)
		r.Documents = append(r.Documents, signer.Document{
			Ordinal: i + 1, Name: h.Label, Format: signer.Hash, Hash: sub.Hash, Given: h.Value, SHA256: sum[:], Size: int64(len(h.Value)),
		})
	}
	return signer.NewRequest{Request: r, Contents: make([]signer.NewContent, len(r.Documents)), IdempotencyKey: sub.Key, BodyHash: body}
}
