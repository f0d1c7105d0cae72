package cms_test

import (
	"bytes"
	"crypto"
	"errors"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// TestMerge puts signatures of four kinds of keys over one content together, in
// any order and more than once; openssl accepts what comes of it.
func TestMerge(t *testing.T) {
	t.Parallel()
	authority, content := cmstest.NewAuthority(t), []byte("contenido")
	all := make([][]byte, 0, 4)
	var first *cmstest.Signer
	for _, kind := range cmstest.Kinds() {
		s := authority.Signer(t, kind)
		if first == nil {
			first = s
		}
		all = append(all, s.Sign(t, content, crypto.SHA256))
	}
	merged := func(order ...int) []byte {
		m := open(t, all[order[0]])
		for _, i := range order[1:] {
			if err := m.Merge(open(t, all[i])); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Conforms(); err != nil {
			t.Errorf("%v: %v", order, err)
		}
		return written(t, m)
	}
	one := merged(0, 1, 2, 3)
	if !bytes.Equal(one, merged(3, 0, 2, 1, 0, 3)) {
		t.Error("another order gives another message")
	}
	if got := len(open(t, one).Signers); got != len(all) {
		t.Errorf("got %d signers, want %d", got, len(all))
	}
	if out, err := first.OpenSSL(t, one, content); err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
	if err := cms.CrossCheck(one, content); err != nil {
		t.Error(err)
	}
	other := authority.Signer(t, "p256").Sign(t, []byte("otro contenido"), crypto.SHA256)
	if err := open(t, one).Merge(open(t, other)); !errors.Is(err, cms.ErrContentMismatch) {
		t.Errorf("got %v, want another content refused", err)
	}
}
