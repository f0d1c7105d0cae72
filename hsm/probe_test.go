package hsm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		spoil        func(*hsmtest.Faults)
		sealed, kept bool
		mechanism    uint
		noLog        bool
	}{
		{"SoftHSM", func(*hsmtest.Faults) {}, true, true, pkcs11.CKM_AES_KEY_WRAP_PAD, false},
		{
			"no wrapping with padding", func(f *hsmtest.Faults) { f.TakeAway("C_WrapKey", pkcs11.CKM_AES_KEY_WRAP_PAD) },
			false, true, 0, false,
		},
		{
			"no unwrapping", func(f *hsmtest.Faults) { f.TakeAway("C_UnwrapKey", pkcs11.CKM_AES_KEY_WRAP_PAD) },
			false, true, 0, false,
		},
		{"no PSS", func(f *hsmtest.Faults) { f.TakeAway("C_SignInit", pkcs11.CKM_RSA_PKCS_PSS) }, false, false, 0, false},
		{"no HMAC", func(f *hsmtest.Faults) { f.TakeAway("C_SignInit", pkcs11.CKM_SHA256_HMAC) }, false, false, pkcs11.CKM_AES_KEY_WRAP_PAD, false},
		{"no RSA", func(f *hsmtest.Faults) { f.TakeAway("C_GenerateKeyPair", pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN) }, false, false, 0, false},
		{
			"no Ed25519", func(f *hsmtest.Faults) { f.TakeAway("C_GenerateKeyPair", edwardsKeyPairGen) },
			true, true, pkcs11.CKM_AES_KEY_WRAP_PAD, true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config, faults := hsmtest.Shim(t, hsmtest.Config(t))
			hsmtest.Open(t, config) // keeps the login for counting what is left
			test.spoil(faults)
			report, err := hsm.Probe(t.Context(), config)
			if err != nil {
				t.Fatalf("probing: %v", err)
			}
			if report.Sealed.OK != test.sealed || report.Kept.OK != test.kept || report.WrapMechanism != test.mechanism {
				t.Errorf("got sealed %+v, token %+v, mechanism %#x, want %v, %v, %#x",
					report.Sealed, report.Kept, report.WrapMechanism, test.sealed, test.kept, test.mechanism)
			}
			if report.Checkpoints.OK == test.noLog {
				t.Errorf("got checkpoints %+v, want %v", report.Checkpoints, !test.noLog)
			}
			for name, v := range map[string]hsm.Verdict{"sealed": report.Sealed, "token": report.Kept, "checkpoints": report.Checkpoints} {
				if v.OK == (v.Why != "") {
					t.Errorf("%s: got %+v, want a reason if and only if it is a no", name, v)
				}
			}
			if !strings.Contains(report.Library, "SoftHSM") || !strings.Contains(report.Token, config.TokenLabel) || report.Serial == "" {
				t.Errorf("got %q, %q, %q, want library, token and serial number", report.Library, report.Token, report.Serial)
			}
			faults.Clear()
			for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_SECRET_KEY} {
				if got := countObjects(t, config, class); got != 0 {
					t.Errorf("objects of class %d left over: got %d, want 0", class, got)
				}
			}
		})
	}
}

func TestProbeOfNoToken(t *testing.T) {
	t.Parallel()
	config := hsmtest.Config(t)
	config.TokenLabel = "nobody"
	if _, err := hsm.Probe(t.Context(), config); !errors.Is(err, hsm.ErrNoToken) {
		t.Errorf("got %v, want %v", err, hsm.ErrNoToken)
	}
}
