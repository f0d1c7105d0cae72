package hsm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/miekg/pkcs11"
)

// CreateKEK generates the AES-256 key-encryption key. It wraps and unwraps,
// cannot leave the token, and carries the rule that what it unwraps is a
// private key that signs, for one session, and cannot be extracted: so that the
// PIN and a wrapped key do not suffice to read that key.
func (t *Token) CreateKEK(ctx context.Context, label string) error {
	return t.create(ctx, label, func(s *session) error {
		var pinner runtime.Pinner
		defer pinner.Unpin()
		return t.generateSecret(s, label, pkcs11.CKM_AES_KEY_GEN, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
			flag(pkcs11.CKA_WRAP, true),
			flag(pkcs11.CKA_UNWRAP, true),
			flag(pkcs11.CKA_SIGN, false),
			flag(pkcs11.CKA_VERIFY, false),
			nested(&pinner, pkcs11.CKA_UNWRAP_TEMPLATE, unwrapRule()),
		})
	})
}

// CreatePepper generates the 256-bit secret of MAC. It cannot leave the token.
func (t *Token) CreatePepper(ctx context.Context, label string) error {
	return t.create(ctx, label, func(s *session) error {
		return t.generateSecret(s, label, pkcs11.CKM_GENERIC_SECRET_KEY_GEN, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
			flag(pkcs11.CKA_SIGN, true),
			flag(pkcs11.CKA_VERIFY, true),
			flag(pkcs11.CKA_WRAP, false),
			flag(pkcs11.CKA_UNWRAP, false),
		})
	})
}

func (t *Token) generateSecret(s *session, label string, mechanism uint, purpose []*pkcs11.Attribute) error {
	template := append(tokenObject(label),
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
		flag(pkcs11.CKA_PRIVATE, true),
		flag(pkcs11.CKA_SENSITIVE, true),
		flag(pkcs11.CKA_EXTRACTABLE, false),
		flag(pkcs11.CKA_ENCRYPT, false),
		flag(pkcs11.CKA_DECRYPT, false),
		flag(pkcs11.CKA_DERIVE, false),
	)
	t.allow(s, generationTicks)
	defer t.allow(s, hangTicks)
	_, err := t.module.GenerateKey(s.handle,
		[]*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, append(template, purpose...))
	return err
}

// unwrapRule is what the KEK demands of every key that it unwraps. SoftHSM
// wants each of these repeated by the caller of C_UnwrapKey, word for word.
//
// Not extractable also means that a key cannot be moved to another KEK: after a
// rotation the citizen gets a new one. The alternative, extractable with
// CKA_WRAP_WITH_TRUSTED, is enforced by SoftHSM 2.6.1, but weakens the KEK: only
// one that the security officer generates with CKA_TRUSTED counts as trusted,
// and that must be CKA_PRIVATE=false, which everybody sees and may destroy
// without a PIN; and the officer's PIN, beside the user's, would take every key
// out.
func unwrapRule() []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		flag(pkcs11.CKA_TOKEN, false),
		flag(pkcs11.CKA_PRIVATE, true),
		flag(pkcs11.CKA_SENSITIVE, true),
		flag(pkcs11.CKA_EXTRACTABLE, false),
		flag(pkcs11.CKA_COPYABLE, false),
		flag(pkcs11.CKA_SIGN, true),
		flag(pkcs11.CKA_DECRYPT, false),
		flag(pkcs11.CKA_UNWRAP, false),
		flag(pkcs11.CKA_DERIVE, false),
	}
}

// attribute is CK_ATTRIBUTE (PKCS#11 2.40, section 3.4) where CK_ULONG is as
// wide as a pointer, which the binding assumes as well.
type attribute struct {
	kind   uint
	value  unsafe.Pointer
	length uint
}

// nested makes an attribute whose value is itself a template. The binding takes
// no such value, but it copies bytes: these are the C array itself, whose
// pointers stay good until the pinner lets go.
func nested(pinner *runtime.Pinner, kind uint, template []*pkcs11.Attribute) *pkcs11.Attribute {
	array := make([]attribute, len(template))
	for i, a := range template {
		pinner.Pin(&a.Value[0])
		array[i] = attribute{a.Type, unsafe.Pointer(&a.Value[0]), uint(len(a.Value))} //nolint:gosec // pinned above
	}
	size := len(array) * int(unsafe.Sizeof(attribute{}))
	return pkcs11.NewAttribute(kind, unsafe.Slice((*byte)(unsafe.Pointer(&array[0])), size)) //nolint:gosec // the array's own size
}

// MAC is the HMAC-SHA-256 of data under the pepper of that label. Callers keep
// their uses apart by a prefix of their own; "rubrica/check-value/" is taken.
func (t *Token) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	var mac []byte
	err := t.do(ctx, func(s *session) error {
		key, err := t.resolve(s, secretKey(label))
		if err != nil {
			return err
		}
		mac, err = t.sign(s, key, dtbs{pkcs11.NewMechanism(pkcs11.CKM_SHA256_HMAC, nil), data})
		return err
	})
	return mac, err
}

// CheckValue is a fingerprint of the KEK or pepper of that label: 32 bytes, the
// same for ever, of no use to whoever reads them. Stored beside what depends on
// the key, it tells a wrong key before harm is done.
func (t *Token) CheckValue(ctx context.Context, label string) ([]byte, error) {
	var value []byte
	err := t.do(ctx, func(s *session) (err error) {
		value, err = t.checkValue(s, label)
		return err
	})
	return value, err
}

func (t *Token) checkValue(s *session, label string) ([]byte, error) {
	key, err := t.resolve(s, secretKey(label))
	if err != nil {
		return nil, err
	}
	kind, err := t.attributes(s, key, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return nil, err
	}
	var value []byte
	if ulong(kind[0]) == pkcs11.CKK_AES {
		value, err = t.wrapConstant(s, key)
	} else {
		value, err = t.sign(s, key, dtbs{pkcs11.NewMechanism(pkcs11.CKM_SHA256_HMAC, nil), []byte("rubrica/check-value/v1")})
	}
	if err != nil {
		return nil, fmt.Errorf("computing the check value of %q: %w", label, err)
	}
	sum := sha256.Sum256(value)
	return sum[:], nil
}

// wrapConstant wraps a key that everybody knows, which is all that a key able
// to wrap only can tell about itself. RFC 5649 wrapping is deterministic.
func (t *Token) wrapConstant(s *session, kek pkcs11.ObjectHandle) ([]byte, error) {
	known, err := t.module.CreateObject(s.handle, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE, make([]byte, 32)),
		flag(pkcs11.CKA_TOKEN, false),
		flag(pkcs11.CKA_PRIVATE, true),
		flag(pkcs11.CKA_SENSITIVE, false),
		flag(pkcs11.CKA_EXTRACTABLE, true),
	})
	if err != nil {
		return nil, fmt.Errorf("creating the known key: %w", err)
	}
	defer t.destroy(s, known)
	wrapped, err := t.module.WrapKey(s.handle, t.wrapping(), kek, known)
	if err != nil {
		return nil, fmt.Errorf("wrapping the known key: %w", err)
	}
	return wrapped, nil
}

// ulong reads a CK_ULONG, in the machine's byte order.
func ulong(value []byte) uint64 {
	if len(value) != 8 {
		return ^uint64(0)
	}
	return binary.NativeEndian.Uint64(value)
}
