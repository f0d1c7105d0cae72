package hsm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestParseEdwardsPoint(t *testing.T) {
	t.Parallel()
	point := bytes.Repeat([]byte{0x5a}, 32)
	// A bare key may begin as an OCTET STRING does.
	alike := append([]byte{0x04, 0x1e}, bytes.Repeat([]byte{7}, 30)...)
	for name, test := range map[string]struct{ value, want []byte }{
		"bare":              {point, point},
		"bare, DER's looks": {alike, alike},
		"in DER":            {append([]byte{0x04, 0x20}, point...), point},
		"in DER, and more":  {append(append([]byte{0x04, 0x20}, point...), 0), nil},
		"33 bytes":          {append([]byte{0x04}, point...), nil},
		"Ed448":             {bytes.Repeat([]byte{1}, 57), nil},
		"Ed448 in DER":      {append([]byte{0x04, 57}, bytes.Repeat([]byte{1}, 57)...), nil},
		"nothing":           {nil, nil},
	} {
		got, err := parseEdwardsPoint(test.value)
		if !bytes.Equal(got, test.want) || (test.want == nil) != errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: got %x, %v, want %x", name, got, err, test.want)
		}
	}
}

func TestParseEdwardsParams(t *testing.T) {
	t.Parallel()
	for der, known := range map[string]bool{
		"06032b6570":                     true, // RFC 8410
		"130c656477617264733235353139":   true, // the name
		"06092b06010401da470f01":         true, // GnuPG's
		"06032b6571":                     false,
		"130a656477617264733434380a":     false,
		"06082a8648ce3d030107":           false,
		"":                               false,
		"06032b657000":                   false,
		"0c0c656477617264733235353139ff": false,
	} {
		value, err := hex.DecodeString(der)
		if err != nil {
			t.Fatalf("decoding %s: %v", der, err)
		}
		if err := parseEdwardsParams(value); (err == nil) != known {
			t.Errorf("%s: got %v, want known: %v", der, err, known)
		}
	}
}
