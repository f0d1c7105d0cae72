package smpp

import (
	"strings"

	"github.com/linxGnu/gosmpp/pdu"
)

// Type of number and numbering plan (SMPP 3.4, sections 5.2.5 and 5.2.6).
const (
	tonUnknown, tonInternational, tonAlphanumeric = 0, 1, 5
	npiUnknown, npiISDN                           = 0, 1
)

// address tells numbers in E.164, short numbers and names apart.
func address(s string) (pdu.Address, error) {
	if number, ok := strings.CutPrefix(s, "+"); ok {
		return pdu.NewAddressWithTonNpiAddr(tonInternational, npiISDN, number)
	}
	if strings.Trim(s, "0123456789") == "" {
		return pdu.NewAddressWithTonNpiAddr(tonUnknown, npiISDN, s)
	}
	return pdu.NewAddressWithTonNpiAddr(tonAlphanumeric, npiUnknown, s)
}
