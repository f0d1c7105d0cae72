package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
)

// CheckValue says whether a bare signature value is that of the key over a hash,
// made as the options ask (ErrValue).
func CheckValue(key crypto.PublicKey, opts crypto.SignerOpts, hash, value []byte) error {
	how := method{scheme: PKCS1v15}
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		how = method{scheme: PSS, salt: pss.SaltLength}
	}
	if _, ok := key.(*ecdsa.PublicKey); ok {
		how = method{scheme: ECDSA}
	}
	return how.check(key, opts.HashFunc(), hash, value)
}

// ReadPSS reads RSASSA-PSS-params (RFC 8017, A.2.3): one hash for both uses, and
// the salt's length.
func ReadPSS(der []byte) (hash crypto.Hash, salt int, err error) {
	m, err := pssMethod(der)
	return m.hash, m.salt, err
}
