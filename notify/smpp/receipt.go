package smpp

import (
	"strings"

	"github.com/linxGnu/gosmpp/pdu"
)

// Receipt is what the operator says of a message that it accepted.
type Receipt struct {
	ID        string // what the operator called the message when it accepted it
	Delivered bool   // it has reached the telephone; else it never will
}

// The type of a deliver_sm (SMPP 3.4, section 5.2.12).
const (
	typeMask    = 0b0011_1100
	typeReceipt = 0b0000_0100
)

// receipt reads a deliver_sm. It reports false for what is no receipt, or one
// that tells of no end: a message may be accepted or under way for days.
func receipt(m *pdu.DeliverSM) (Receipt, bool) {
	if m.EsmClass&typeMask != typeReceipt {
		return Receipt{}, false
	}
	octets, err := m.Message.GetMessageData()
	if err != nil {
		return Receipt{}, false
	}
	told := fields(string(octets))
	r := Receipt{ID: told["id"]}
	// The optional parameters are exact where the text is a custom of vendors.
	if id, ok := m.OptionalParameters[pdu.TagReceiptedMessageID]; ok {
		r.ID = id.String()
	}
	state := states()[told["stat"]]
	if exact, ok := m.OptionalParameters[pdu.TagMessageStateOption]; ok && len(exact.Data) == 1 {
		state = exact.Data[0]
	}
	r.Delivered = state == delivered
	return r, r.ID != "" && (r.Delivered || lost(state))
}

// message_state (SMPP 3.4, section 5.2.28).
const (
	delivered     = 2
	expired       = 3
	deleted       = 4
	undeliverable = 5
	rejected      = 8
)

func lost(state byte) bool {
	return state == expired || state == deleted || state == undeliverable || state == rejected
}

// states are the words of a receipt's text (SMPP 3.4, appendix B, table B-2).
func states() map[string]byte {
	return map[string]byte{"DELIVRD": delivered, "EXPIRED": expired, "DELETED": deleted, "UNDELIV": undeliverable, "REJECTD": rejected}
}

// fields reads "id:… sub:… dlvrd:… submit date:… done date:… stat:… err:…
// text:…" (SMPP 3.4, appendix B). What follows text: is the message's own.
func fields(text string) map[string]string {
	told := make(map[string]string)
	for field := range strings.FieldsSeq(text) {
		name, value, found := strings.Cut(field, ":")
		if name = strings.ToLower(name); !found {
			continue
		}
		if name == "text" {
			break
		}
		told[name] = strings.Trim(value, "\x00")
	}
	return told
}
