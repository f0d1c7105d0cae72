package verify

import "fmt"

// Indication is the main status of a validation (EN 319 102-1, table 5).
type Indication string

// The indications. A time-stamp is told so, too.
const (
	Passed        Indication = "TOTAL-PASSED"
	Indeterminate Indication = "INDETERMINATE"
	Failed        Indication = "TOTAL-FAILED"
)

// worse is the one of two that is further from Passed.
func (i Indication) worse(other Indication) Indication {
	if i == Failed || other == Failed {
		return Failed
	}
	if i == Passed {
		return other
	}
	return i
}

// SubIndication is why (EN 319 102-1, table 6).
type SubIndication string

// With Failed.
const (
	FormatFailure    SubIndication = "FORMAT_FAILURE"
	HashFailure      SubIndication = "HASH_FAILURE"
	SigCryptoFailure SubIndication = "SIG_CRYPTO_FAILURE"
	Revoked          SubIndication = "REVOKED"
	Expired          SubIndication = "EXPIRED"
	NotYetValid      SubIndication = "NOT_YET_VALID"
)

// With Indeterminate.
const (
	SigConstraintsFailure      SubIndication = "SIG_CONSTRAINTS_FAILURE"
	ChainConstraintsFailure    SubIndication = "CHAIN_CONSTRAINTS_FAILURE"
	ChainGeneralFailure        SubIndication = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
	CryptoConstraintsFailure   SubIndication = "CRYPTO_CONSTRAINTS_FAILURE"
	TimestampOrderFailure      SubIndication = "TIMESTAMP_ORDER_FAILURE"
	NoSigningCertificateFound  SubIndication = "NO_SIGNING_CERTIFICATE_FOUND"
	NoCertificateChainFound    SubIndication = "NO_CERTIFICATE_CHAIN_FOUND"
	RevokedNoPOE               SubIndication = "REVOKED_NO_POE"
	RevokedCANoPOE             SubIndication = "REVOKED_CA_NO_POE"
	OutOfBoundsNotRevoked      SubIndication = "OUT_OF_BOUNDS_NOT_REVOKED"
	OutOfBoundsNoPOE           SubIndication = "OUT_OF_BOUNDS_NO_POE"
	RevocationOutOfBoundsNoPOE SubIndication = "REVOCATION_OUT_OF_BOUNDS_NO_POE"
	CryptoConstraintsNoPOE     SubIndication = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
	NoPOE                      SubIndication = "NO_POE"
	TryLater                   SubIndication = "TRY_LATER"
	SignedDataNotFound         SubIndication = "SIGNED_DATA_NOT_FOUND"
)

// Conclusion is what a validation comes to.
type Conclusion struct {
	Indication Indication `json:"indication"`
	// SubIndication and Reason are empty with Passed.
	SubIndication SubIndication `json:"sub_indication,omitempty"`
	// Reason says in words what was found.
	Reason string `json:"reason,omitempty"`
}

// passed is the good end. Functions give *Conclusion as others give an error:
// nil is passed.
func passed() Conclusion { return Conclusion{Indication: Passed} }

func (c *Conclusion) orPassed() Conclusion {
	if c == nil {
		return passed()
	}
	return *c
}

func indeterminate(sub SubIndication, format string, args ...any) *Conclusion {
	return &Conclusion{Indication: Indeterminate, SubIndication: sub, Reason: fmt.Sprintf(format, args...)}
}

func failed(sub SubIndication, format string, args ...any) *Conclusion {
	return &Conclusion{Indication: Failed, SubIndication: sub, Reason: fmt.Sprintf(format, args...)}
}
