package hsm

import (
	"errors"

	"github.com/miekg/pkcs11"
)

// What can be wrong with the token as the operator configured it, or with its state.
var (
	ErrModule    = errors.New("PKCS#11 module unusable")
	ErrNoToken   = errors.New("no such token")
	ErrPIN       = errors.New("PIN refused")
	ErrAmbiguous = errors.New("label not unique")
	ErrClosed    = errors.New("token closed")
	ErrBusy      = errors.New("token busy") // ask again later
	// ErrOtherToken says that the token is not the one that Expect described: it
	// was initialised anew, replaced, or lost a key.
	ErrOtherToken = errors.New("another token than expected")
	// ErrHung is what Config.OnHang hears.
	ErrHung = errors.New("token hangs")
)

// errDown marks the errors of reconnecting, whatever their cause.
var errDown = errors.New("token not reachable")

// What can be wrong with a key or with what it is asked to do.
var (
	ErrNoKey     = errors.New("no such key in the token")
	ErrKeyExists = errors.New("key exists in the token")
	ErrAlgorithm = errors.New("algorithm not supported")
	ErrDigest    = errors.New("digest refused")
	ErrBlob      = errors.New("wrapped key refused by the token") // not made under this key-encryption key, or altered
	ErrKeySpent  = errors.New("key used after its time")
)

// codeOf is the PKCS#11 return value in an error.
func codeOf(err error) (pkcs11.Error, bool) {
	return errors.AsType[pkcs11.Error](err)
}

// stale reports whether an operation failed because session, login or handles
// are no longer what they were. SoftHSM answers CKR_OBJECT_HANDLE_INVALID when
// another session logged out, so it is the same as a closed session.
func stale(err error) bool {
	code, ok := codeOf(err)
	if !ok {
		return false
	}
	switch code {
	case pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID,
		pkcs11.CKR_WRAPPING_KEY_HANDLE_INVALID, pkcs11.CKR_UNWRAPPING_KEY_HANDLE_INVALID:
		return true
	default:
		return false
	}
}

// lost reports whether the token went away, for a moment or for good.
func lost(err error) bool {
	if errors.Is(err, errDown) {
		return true
	}
	code, ok := codeOf(err)
	if !ok {
		return false
	}
	switch code {
	case pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_TOKEN_NOT_PRESENT,
		pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_SLOT_ID_INVALID, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED:
		return true
	default:
		return false
	}
}

// unclear reports whether an error leaves a session in a state that nobody
// knows, with an operation begun and not ended perhaps.
func unclear(err error) bool {
	if err == nil || errors.Is(err, ErrBlob) {
		return false
	}
	_, ok := codeOf(err)
	return ok && !stale(err) && !lost(err)
}

// spoilt reports what SoftHSM 2.6.1 says now and then of a token object that it
// generates while other sessions look for theirs: they meet it half-written. A
// second try succeeds.
func spoilt(err error) bool {
	code, ok := codeOf(err)
	return ok && (code == pkcs11.CKR_GENERAL_ERROR || code == pkcs11.CKR_TEMPLATE_INCONSISTENT)
}

// handleGone reports whether an object is no longer there, or no longer visible.
func handleGone(err error) bool {
	code, ok := codeOf(err)
	return ok && (code == pkcs11.CKR_OBJECT_HANDLE_INVALID || code == pkcs11.CKR_KEY_HANDLE_INVALID)
}

// sessionGone reports whether the session itself no longer exists.
func sessionGone(err error) bool {
	code, ok := codeOf(err)
	return ok && (code == pkcs11.CKR_SESSION_HANDLE_INVALID || code == pkcs11.CKR_SESSION_CLOSED)
}

// blobRefused reports whether C_UnwrapKey found fault with the wrapped key.
// Where the standard has words for that, SoftHSM 2.6.1 says CKR_GENERAL_ERROR
// (integrity check failed) and CKR_FUNCTION_FAILED (key of another type).
func blobRefused(err error) bool {
	code, ok := codeOf(err)
	if !ok {
		return false
	}
	switch code {
	case pkcs11.CKR_WRAPPED_KEY_INVALID, pkcs11.CKR_WRAPPED_KEY_LEN_RANGE,
		pkcs11.CKR_ENCRYPTED_DATA_INVALID, pkcs11.CKR_ENCRYPTED_DATA_LEN_RANGE,
		pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED:
		return true
	default:
		return false
	}
}
