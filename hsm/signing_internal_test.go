package hsm

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeIsDER(t *testing.T) {
	t.Parallel()
	halves := [][]byte{
		bytes.Repeat([]byte{0xff}, 48),
		bytes.Repeat([]byte{0x7f}, 48),
		append(make([]byte, 16), bytes.Repeat([]byte{0x80}, 32)...),
		append(make([]byte, 47), 1),
		append(make([]byte, 47), 0x80),
		make([]byte, 48),
	}
	for _, r := range halves {
		for _, s := range halves {
			want, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
			if err != nil {
				t.Fatalf("encoding: %v", err)
			}
			got := decode(&ecdsa.PublicKey{}, append(bytes.Clone(r), s...))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("r=%x s=%x (-want +got):\n%s", r, s, diff)
			}
		}
	}
}
