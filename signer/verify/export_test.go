package verify

import (
	"crypto"
	"time"
)

// ReadAnswer, ReadList and ReadToken are the readers of what others sign.
func ReadAnswer(raw []byte) error {
	_, err := readAnswer(raw)
	return err
}

func ReadList(raw []byte) error {
	l, err := readList(raw)
	if err == nil {
		for _, e := range l.RevokedCertificateEntries {
			_ = e.SerialNumber.Sign()
		}
	}
	return err
}

func ReadToken(raw []byte) error {
	_, err := readToken(raw)
	return err
}

// Digest says what is wrong with a hash function at a time.
func (a Algorithms) Digest(h crypto.Hash, at time.Time) string { return a.digest(h, at) }
