package smpp

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/linxGnu/gosmpp/data"
)

// The default alphabet of GSM 03.38 in its order (3GPP TS 23.038, section
// 6.2.1); 0x1B escapes to the extension of section 6.2.1.1.
const gsm = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

const escape = 0x1B

func extended(r rune) (byte, bool) {
	at := strings.IndexRune("\f^{}\\[~]|€", r)
	if at < 0 {
		return 0, false
	}
	return "\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65"[at], true
}

// What one short message holds (TS 23.040, section 9.2.3.24.1): of a message
// in parts, each loses six octets to the header that tells their order.
const (
	wholeSeptets, partSeptets = 160, 153
	wholeOctets, partOctets   = 140, 134
)

// encode turns a text into the short_message of one or more submit_sm: in the
// default alphabet, a septet in an octet, if it holds all of it, else in UCS-2
// (really UTF-16, as telephones read it). No character is cut in two: neither
// an escape nor a pair of surrogates.
func encode(text string) ([][]byte, data.Encoding) {
	if signs, ok := septets(text); ok {
		return split(signs, wholeSeptets, partSeptets), data.GSM7BIT
	}
	return split(units(text), wholeOctets, partOctets), data.UCS2
}

// septets gives each character's one or two.
func septets(text string) ([][]byte, bool) {
	table := []rune(gsm)
	place := make(map[rune]byte, len(table))
	for i, r := range table {
		place[r] = byte(i)
	}
	var signs [][]byte
	for _, r := range text {
		if at, ok := place[r]; ok && at != escape {
			signs = append(signs, []byte{at})
		} else if at, ok := extended(r); ok {
			signs = append(signs, []byte{escape, at})
		} else {
			return nil, false
		}
	}
	return signs, true
}

// units gives each character's one or two, in network order.
func units(text string) [][]byte {
	var signs [][]byte
	for _, r := range text {
		var sign []byte
		for _, unit := range utf16.Encode([]rune{r}) {
			sign = binary.BigEndian.AppendUint16(sign, unit)
		}
		signs = append(signs, sign)
	}
	return signs
}

func split(signs [][]byte, whole, part int) [][]byte {
	var all []byte
	for _, sign := range signs {
		all = append(all, sign...)
	}
	if len(all) <= whole {
		return [][]byte{all}
	}
	parts := [][]byte{nil}
	for _, sign := range signs {
		last := &parts[len(parts)-1]
		if len(*last)+len(sign) > part {
			parts = append(parts, nil)
			last = &parts[len(parts)-1]
		}
		*last = append(*last, sign...)
	}
	return parts
}
