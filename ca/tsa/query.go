package tsa

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the hashes that may be stamped
	_ "crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// MaxQuery is the longest query that is read. An ordinary one takes less than
// 150 octets.
const MaxQuery = 8 << 10

// maxNonce is the longest nonce that is echoed, in bits: 64 are usual (RFC 3161,
// 2.4.1), and nobody shall have texts of his own signed.
const maxNonce = 256

// query is TimeStampReq (RFC 3161, 2.4.1).
type query struct {
	Version        int
	MessageImprint messageImprint
	Policy         asn1.ObjectIdentifier `asn1:"optional"`
	Nonce          *big.Int              `asn1:"optional"`
	CertReq        bool                  `asn1:"optional"`
	Extensions     []pkix.Extension      `asn1:"optional,tag:0"`
}

// messageImprint keeps absent and NULL parameters apart: the stamp repeats the
// field of the query as it is (RFC 3161, 2.4.2).
type messageImprint struct {
	HashAlgorithm pkix.AlgorithmIdentifier
	HashedMessage []byte
}

// hashNames are the object identifiers of RFC 5754, section 2.
func hashNames() map[crypto.Hash]asn1.ObjectIdentifier {
	return map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}
}

// parseQuery reads the DER of a query that could be granted, apart from what
// depends on the authority: its hashes and its policy.
func parseQuery(der []byte) (*query, *FailureError) {
	if len(der) > MaxQuery {
		return nil, failure(BadDataFormat, "the query is too long")
	}
	var q query
	rest, err := asn1.Unmarshal(der, &q)
	if err != nil {
		return nil, failure(BadDataFormat, "the query is not a TimeStampReq").because(err)
	}
	// The comparison refuses in one place every licence that encoding/asn1
	// takes, such as unknown members at the end.
	again, err := asn1.Marshal(q)
	if err != nil || len(rest) > 0 || !bytes.Equal(again, der) {
		return nil, failure(BadDataFormat, "the query is not DER").because(err)
	}
	switch {
	case q.Version != 1:
		return nil, failure(BadRequest, "the version of the query is not 1")
	case q.Extensions != nil:
		// None is known, and an unknown one refuses the stamp, critical or
		// not (RFC 3161, 2.4.1).
		return nil, failure(UnacceptedExtension, "extensions of a query are not supported")
	case q.Nonce != nil && (q.Nonce.Sign() < 0 || q.Nonce.BitLen() > maxNonce):
		return nil, failure(BadRequest, fmt.Sprintf("the nonce is negative or longer than %d bits", maxNonce))
	}
	return &q, nil
}

// hash is the algorithm of the imprint, if it is among the allowed ones and its
// digest has the length that it gives (RFC 3161, 2.4.2).
func (q *query) hash(allowed map[crypto.Hash]asn1.ObjectIdentifier) (crypto.Hash, *FailureError) {
	algorithm := q.MessageImprint.HashAlgorithm
	for hash, oid := range allowed {
		if !oid.Equal(algorithm.Algorithm) {
			continue
		}
		if p := algorithm.Parameters.FullBytes; len(p) > 0 && !bytes.Equal(p, asn1.NullBytes) {
			return 0, failure(BadAlg, "the hash algorithm has parameters")
		}
		if len(q.MessageImprint.HashedMessage) != hash.Size() {
			return 0, failure(BadDataFormat, "the digest is not as long as its algorithm makes it")
		}
		return hash, nil
	}
	return 0, failure(BadAlg, "the hash algorithm is not supported").
		because(errors.New(algorithm.Algorithm.String()))
}
