package hsm_test

import (
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// With the PIN in hand a service key can be used, but not read, changed, copied
// or put to another use.
func TestServiceObjectsResistTheirPIN(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := hsmtest.Open(t, config)
	ctx := t.Context()
	if _, err := token.CreateServiceKey(ctx, "rsa", hsm.RSA2048); err != nil {
		t.Fatalf("creating: %v", err)
	}
	if err := token.CreateKEK(ctx, "kek"); err != nil {
		t.Fatalf("creating: %v", err)
	}
	if err := token.CreatePepper(ctx, "pepper"); err != nil {
		t.Fatalf("creating: %v", err)
	}
	module, session := hsmtest.Intruder(t, config)
	private := findOne(t, module, session, pkcs11.CKO_PRIVATE_KEY, "rsa")
	kek := findOne(t, module, session, pkcs11.CKO_SECRET_KEY, "kek")
	pepper := findOne(t, module, session, pkcs11.CKO_SECRET_KEY, "pepper")
	wrap := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil)}
	ecb := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_ECB, nil)}

	attacks := map[string]func(pkcs11.ObjectHandle) error{
		"reading the value": func(key pkcs11.ObjectHandle) error {
			_, err := module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
			return err
		},
		"reading the exponent": func(key pkcs11.ObjectHandle) error {
			_, err := module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_PRIVATE_EXPONENT, nil)})
			return err
		},
		"wrapping it out": func(key pkcs11.ObjectHandle) error {
			_, err := module.WrapKey(session, wrap, kek, key)
			return err
		},
		"making it extractable": func(key pkcs11.ObjectHandle) error {
			return module.SetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true)})
		},
		"letting it decrypt": func(key pkcs11.ObjectHandle) error {
			return module.SetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true)})
		},
		"copying it": func(key pkcs11.ObjectHandle) error {
			_, err := module.CopyObject(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false)})
			return err
		},
		"decrypting": func(key pkcs11.ObjectHandle) error { return module.DecryptInit(session, ecb, key) },
		"encrypting": func(key pkcs11.ObjectHandle) error { return module.EncryptInit(session, ecb, key) },
	}
	for name, attack := range attacks {
		for label, key := range map[string]pkcs11.ObjectHandle{"rsa": private, "kek": kek, "pepper": pepper} {
			if err := attack(key); err == nil {
				t.Errorf("%s of %s: got no error", name, label)
			}
		}
	}
}

func findOne(tb testing.TB, module *pkcs11.Ctx, session pkcs11.SessionHandle, class uint, label string) pkcs11.ObjectHandle {
	tb.Helper()
	err := module.FindObjectsInit(session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	})
	if err != nil {
		tb.Fatalf("looking for %s: %v", label, err)
	}
	found, _, err := module.FindObjects(session, 2)
	if err != nil || len(found) != 1 {
		tb.Fatalf("looking for %s: got %v, %v, want one", label, found, err)
	}
	if err := module.FindObjectsFinal(session); err != nil {
		tb.Fatalf("looking for %s: %v", label, err)
	}
	return found[0]
}

// lawfulTemplate is what a KEK lets a key be unwrapped as.
func lawfulTemplate(keyType uint) map[uint]any {
	return map[uint]any{
		pkcs11.CKA_CLASS: pkcs11.CKO_PRIVATE_KEY, pkcs11.CKA_KEY_TYPE: keyType,
		pkcs11.CKA_TOKEN: false, pkcs11.CKA_PRIVATE: true, pkcs11.CKA_SENSITIVE: true,
		pkcs11.CKA_EXTRACTABLE: false, pkcs11.CKA_COPYABLE: false,
		pkcs11.CKA_SIGN: true, pkcs11.CKA_DECRYPT: false, pkcs11.CKA_UNWRAP: false, pkcs11.CKA_DERIVE: false,
	}
}

// With the PIN and a wrapped key in hand, the KEK's template still stands
// between an intruder and the private key.
func TestUnwrapAsExtractableIsRefused(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	token := withKEK(t, config)
	key := generate(t, token, hsm.P256)
	module, session := hsmtest.Intruder(t, config)
	wrap := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil)}
	kek := findOne(t, module, session, pkcs11.CKO_SECRET_KEY, "kek")

	unwrap := func(kek pkcs11.ObjectHandle, a map[uint]any) (pkcs11.ObjectHandle, error) {
		var template []*pkcs11.Attribute
		for kind, value := range a {
			template = append(template, pkcs11.NewAttribute(kind, value))
		}
		return module.UnwrapKey(session, wrap, kek, key.blob, template)
	}
	handle, err := unwrap(kek, lawfulTemplate(pkcs11.CKK_EC))
	if err != nil {
		t.Fatalf("the lawful template: got %v, want a key", err)
	}

	changes := map[string]func(map[uint]any){
		"extractable":         func(a map[uint]any) { a[pkcs11.CKA_EXTRACTABLE] = true },
		"extractable unsaid":  func(a map[uint]any) { delete(a, pkcs11.CKA_EXTRACTABLE) },
		"not sensitive":       func(a map[uint]any) { a[pkcs11.CKA_SENSITIVE] = false },
		"sensitivity unsaid":  func(a map[uint]any) { delete(a, pkcs11.CKA_SENSITIVE) },
		"readable altogether": func(a map[uint]any) { a[pkcs11.CKA_EXTRACTABLE], a[pkcs11.CKA_SENSITIVE] = true, false },
		"as token object":     func(a map[uint]any) { a[pkcs11.CKA_TOKEN] = true },
		"copyable":            func(a map[uint]any) { a[pkcs11.CKA_COPYABLE] = true },
		"public":              func(a map[uint]any) { a[pkcs11.CKA_PRIVATE] = false },
		"for derivation":      func(a map[uint]any) { a[pkcs11.CKA_DERIVE] = true },
		"as a secret key": func(a map[uint]any) {
			a[pkcs11.CKA_CLASS], a[pkcs11.CKA_KEY_TYPE] = pkcs11.CKO_SECRET_KEY, pkcs11.CKK_GENERIC_SECRET
		},
		"as a readable secret key": func(a map[uint]any) {
			a[pkcs11.CKA_CLASS], a[pkcs11.CKA_KEY_TYPE] = pkcs11.CKO_SECRET_KEY, pkcs11.CKK_GENERIC_SECRET
			a[pkcs11.CKA_EXTRACTABLE], a[pkcs11.CKA_SENSITIVE] = true, false
		},
	}
	for name, change := range changes {
		a := lawfulTemplate(pkcs11.CKK_EC)
		change(a)
		if _, err := unwrap(kek, a); err == nil {
			t.Errorf("unwrapping %s: got a key, want a refusal", name)
		}
	}

	if got, err := module.GetAttributeValue(session, handle, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)}); err == nil {
		t.Errorf("reading the unwrapped key: got %d bytes, want a refusal", len(got[0].Value))
	}
	if _, err := module.WrapKey(session, wrap, kek, handle); err == nil {
		t.Error("wrapping the unwrapped key again: got a blob, want a refusal")
	}
	if _, err := module.CopyObject(session, handle, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true)}); err == nil {
		t.Error("keeping a copy of the unwrapped key: got one, want a refusal")
	}

	// The control: a KEK without template gives the key away, so it is the
	// template that stops the others.
	lax, err := module.GenerateKey(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_LABEL, "lax"),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
		pkcs11.NewAttribute(pkcs11.CKA_WRAP, true), pkcs11.NewAttribute(pkcs11.CKA_UNWRAP, true),
	})
	if err != nil {
		t.Fatalf("generating a KEK without template: %v", err)
	}
	if _, key.blob, err = token.GenerateWrapped(t.Context(), "lax", hsm.P256); err != nil {
		t.Fatalf("wrapping under it: %v", err)
	}
	a := lawfulTemplate(pkcs11.CKK_EC)
	changes["readable altogether"](a)
	if _, err := unwrap(lax, a); err != nil {
		t.Errorf("unwrapping as readable under the KEK without template: got %v, want a key", err)
	}
}
