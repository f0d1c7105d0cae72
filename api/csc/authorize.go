package csc

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"time"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/signer"
)

// hashOfSize is the hash algorithm of that size, empty if there is none.
func hashOfSize(size int) string {
	for _, oid := range []string{signer.SHA256, signer.SHA384, signer.SHA512} {
		if hash, known := digestOf(oid); known && hash.Size() == size {
			return oid
		}
	}
	return ""
}

// Credentials here are authorised at the authorisation server (mode oauth2code).
// credentials/authorize and what belongs to it read their parameters as the
// documents have it, and end where there is nothing to be authorised.

// hashesName is the name of the array.
func (v version) hashesName() string {
	if v == 1 {
		return "hash"
	}
	return "hashes"
}

func (d *Door) authorize(ctx context.Context, c call) (answer, error) {
	s, err := d.subject(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if !s.enabled(d.Now()) {
		return answer{}, invalid("The credential identified by credentialID is disabled")
	}
	if err := c.numSignatures(); err != nil {
		return answer{}, err
	}
	hashes, err := c.body.hashes(c.version.hashesName(), "hash") // SCAL2 needs them
	if err != nil {
		return answer{}, err
	}
	if c.version > 1 {
		if err := c.lengths(hashes); err != nil {
			return answer{}, err
		}
	}
	description, err := c.body.may("description")
	if err != nil || len([]rune(description)) > 500 {
		return answer{}, invalidParameter("description")
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	if d.explicit(c) {
		if n, _ := c.body.number("numSignatures"); int(n) != len(hashes) {
			return answer{}, invalid("Invalid value for parameter numSignatures")
		}
		sub := requests.HashSubmission{
			Client: c.grant.Client, Identifier: s.citizen.Identifier, Title: cmp.Or(description, "Firma de documentos"), Locale: s.citizen.Locale,
			Key: "explicit-" + rand.Text(), Life: explicitLife, Hash: hashOfSize(len(hashes[0])),
		}
		if len(c.grant.Client.ReturnAddresses) > 0 {
			sub.ReturnURL = c.grant.Client.ReturnAddresses[0]
		}
		for i, hash := range hashes {
			sub.Hashes = append(sub.Hashes, requests.LabelledHash{Label: fmt.Sprintf("Documento %d", i+1), Value: hash})
		}
		return d.authoriseExplicitly(ctx, c, s, sub)
	}
	// The method is not for credentials of this mode (CSC API v2.0.0.2, 11.6).
	return answer{}, invalidParameter("credentialID")
}

func (c call) numSignatures() error {
	n, ok := c.body.number("numSignatures")
	switch {
	case !ok:
		return missing("integer", "numSignatures")
	case n < 1:
		return invalid("Invalid value for parameter numSignatures")
	case n > requests.HashLimit:
		return invalid("Numbers of signatures is too high")
	}
	return nil
}

// lengths holds hashes against the algorithm that version 2 names beside them.
func (c call) lengths(hashes [][]byte) error {
	oid, err := c.body.must("hashAlgorithmOID")
	if err != nil {
		return err
	}
	hash, known := digestOf(oid)
	if !known {
		return invalidParameter("hashAlgorithmOID")
	}
	for _, h := range hashes {
		if len(h) != hash.Size() {
			return invalid("Invalid digest value length")
		}
	}
	return nil
}

// authorizeCheck: nobody was ever given a handle.
func (d *Door) authorizeCheck(_ context.Context, c call) (answer, error) {
	if _, err := c.body.must("handle"); err != nil {
		return answer{}, err
	}
	return answer{}, invalidParameter("handle")
}

// challenge is getChallenge: only explicit mode has authentication objects, and
// of them the code is sent, out of band.
func (d *Door) challenge(ctx context.Context, c call) (answer, error) {
	s, err := d.subject(ctx, c)
	if err != nil {
		return answer{}, err
	}
	object, err := c.body.must("authObjectID")
	if err != nil {
		return answer{}, err
	}
	if object == "OTP" && d.explicit(c) {
		if err := d.sendCode(ctx, c, s); err != nil {
			return answer{}, err
		}
		return empty()
	}
	return answer{}, invalidParameter("authObjectID")
}

// sendOTP: but in explicit mode, the code goes out when its citizen asks for it on
// our pages.
func (d *Door) sendOTP(ctx context.Context, c call) (answer, error) {
	s, err := d.subject(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	if d.explicit(c) {
		if err := d.sendCode(ctx, c, s); err != nil {
			return answer{}, err
		}
		return empty()
	}
	return answer{}, invalidParameter("credentialID")
}

// transaction is what extendTransaction answers.
type transaction struct {
	SAD       string `json:"SAD"`
	ExpiresIn int    `json:"expiresIn"`
}

// extend answers for what is still to be fetched of a consent. It was over all
// its hashes from the beginning, so that the SAD stays the same.
func (d *Door) extend(ctx context.Context, c call) (answer, error) {
	consent, err := d.consent(ctx, c)
	if err != nil {
		return answer{}, err
	}
	hashes, err := c.body.hashes(c.version.hashesName(), "hash")
	if err != nil {
		return answer{}, err
	}
	if c.version > 1 {
		if err := c.lengths(hashes); err != nil {
			return answer{}, err
		}
	}
	if _, err := d.claims(ctx, consent, hashes, c.version); err != nil {
		return answer{}, err
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	left := math.Floor(consent.ExpiresAt.Sub(d.Now()).Seconds())
	return ok(transaction{SAD: consent.token, ExpiresIn: max(0, int(left))})
}

// longestWait bounds validity_period: how long an asynchronous answer may wait.
const longestWait = 24 * time.Hour
