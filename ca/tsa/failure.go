package tsa

import (
	"encoding/asn1"
	"fmt"
	"math/bits"
)

// FailInfo is a bit of PKIFailureInfo (RFC 3161, 2.4.2).
type FailInfo int

// What an Authority refuses with.
const (
	BadAlg              FailInfo = 0
	BadRequest          FailInfo = 2
	BadDataFormat       FailInfo = 5
	TimeNotAvailable    FailInfo = 14
	UnacceptedPolicy    FailInfo = 15
	UnacceptedExtension FailInfo = 16
	SystemFailure       FailInfo = 25
)

// FailureError is why no stamp was given.
type FailureError struct {
	Info   FailInfo
	Reason string // as the client reads it
	Err    error  // as the operator does; the client does not
}

func failure(info FailInfo, reason string) *FailureError {
	return &FailureError{Info: info, Reason: reason}
}

func (f *FailureError) because(err error) *FailureError {
	f.Err = err
	return f
}

func (f *FailureError) Error() string {
	if f.Err == nil {
		return "time-stamp refused: " + f.Reason
	}
	return fmt.Sprintf("time-stamp refused: %s: %v", f.Reason, f.Err)
}

func (f *FailureError) Unwrap() error { return f.Err }

// Ours says whether the failure is one for the operator to mend, and not the
// client's.
func (f *FailureError) Ours() bool { return f.Info == TimeNotAvailable || f.Info == SystemFailure }

// PKIStatus (RFC 3161, 2.4.2).
const (
	granted   = 0
	rejection = 2
)

// statusInfo is PKIStatusInfo.
type statusInfo struct {
	Status       int
	StatusString []asn1.RawValue `asn1:"optional"`
	FailInfo     asn1.BitString  `asn1:"optional"`
}

// response is TimeStampResp (RFC 3161, 2.4.2).
type response struct {
	Status statusInfo
	Token  asn1.RawValue `asn1:"optional"`
}

// encode is the response that tells the client of the failure.
func (f *FailureError) encode() ([]byte, error) {
	octets := make([]byte, f.Info/8+1)
	octets[f.Info/8] = bits.Reverse8(1 << (f.Info % 8))
	return encodeResponse(response{Status: statusInfo{
		Status:       rejection,
		StatusString: []asn1.RawValue{{Tag: asn1.TagUTF8String, Bytes: []byte(f.Reason)}},
		// A named bit list ends with its last bit that is set (X.690, 11.2.2).
		FailInfo: asn1.BitString{Bytes: octets, BitLength: int(f.Info) + 1},
	}})
}

func encodeResponse(r response) ([]byte, error) {
	der, err := asn1.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a TimeStampResp: %w", err)
	}
	return der, nil
}
