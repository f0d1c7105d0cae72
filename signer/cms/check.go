package cms

import (
	"bytes"
	"crypto/x509"
	"fmt"
)

// Verify says whether the value is cert's over a content with that digest, made
// by Hash (RFC 5652, 5.6): the signed content-type and message-digest are right,
// and so are the references to the signer's certificate (RFC 5035), of which
// there may be none: baseline signatures have one, which the caller demands. The
// errors are ErrMalformed, ErrUnsupported, or ErrInvalid, in the form of
// ErrDigest, ErrValue or ErrCertificate where one of these says it. Nothing is
// said of the age of the algorithms or of the certificate's path.
//
// Without signed attributes it is the content's digest that was signed, which
// RFC 5652, 5.3 allows for id-data only.
func (s *SignerInfo) Verify(cert *x509.Certificate, contentDigest []byte) error {
	if s.digestProblem != nil {
		return s.digestProblem
	}
	if s.methodProblem != nil {
		return s.methodProblem
	}
	// RFC 5754, 3 and RFC 4056, 3: one hash for content and attributes.
	if s.method.hash != 0 && s.method.hash != s.Hash {
		return fmt.Errorf("%w: a value by %v of attributes by %v", ErrInvalid, s.method.hash, s.Hash)
	}
	if !s.names(cert) {
		return fmt.Errorf("%w: another signer", ErrInvalid)
	}
	digest := contentDigest
	if s.SignedAttributes != nil {
		if err := s.checkAttributes(contentDigest, cert); err != nil {
			return err
		}
		digest = sum(s.Hash, s.SignedAttributes)
	} else if !s.counter && !oidOf(s.contentType).Equal(idData) {
		return fmt.Errorf("%w: no signed attributes", ErrMalformed)
	}
	if len(digest) != s.Hash.Size() {
		return ErrDigest
	}
	return s.method.check(publicKey(cert), s.Hash, digest, s.Signature)
}

func (s *SignerInfo) checkAttributes(contentDigest []byte, cert *x509.Certificate) error {
	contentType := valuesOf(s.Signed, idContentType)
	switch {
	case s.counter && len(contentType) > 0: // RFC 5652, 11.4
		return fmt.Errorf("%w: content-type in a countersignature", ErrMalformed)
	case !s.counter && len(contentType) != 1:
		return fmt.Errorf("%w: %d content-types", ErrMalformed, len(contentType))
	case !s.counter && !bytes.Equal(contentType[0], s.contentType):
		return fmt.Errorf("%w: content-type is of another content", ErrInvalid)
	}
	digest := s.MessageDigest()
	if digest == nil {
		return fmt.Errorf("%w: message-digest", ErrMalformed)
	}
	if !bytes.Equal(digest, contentDigest) {
		return ErrDigest
	}
	_, err := s.references(cert)
	return err
}

// references is whether the signed attributes refer to cert, and to no other.
func (s *SignerInfo) references(cert *x509.Certificate) (bool, error) {
	v1, v2 := valuesOf(s.Signed, idSigningCert), valuesOf(s.Signed, idSigningCertV2)
	if len(v1) > 1 || len(v2) > 1 {
		return false, fmt.Errorf("%w: several signing-certificate attributes", ErrMalformed)
	}
	for _, value := range v1 {
		if err := checkSigningCertificate(value, cert); err != nil {
			return false, err
		}
	}
	for _, value := range v2 {
		if err := checkSigningCertificateV2(value, cert, foreignHash); err != nil {
			return false, err
		}
	}
	return len(v1)+len(v2) > 0, nil
}
