package smpp

import (
	"testing"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

func TestReceipt(t *testing.T) {
	t.Parallel()
	const usual = "id:42 sub:001 dlvrd:001 submit date:2603101200 done date:2603101201 stat:DELIVRD err:000 text:id:7 stat:UNDELIV"
	for _, test := range []struct {
		name   string
		class  byte
		text   string
		params map[pdu.Tag]string
		want   Receipt
		final  bool
	}{
		{"delivered", typeReceipt, usual, nil, Receipt{"42", true}, true},
		{"with other type bits", typeReceipt | 0x03, usual, nil, Receipt{"42", true}, true},
		{"undeliverable", typeReceipt, "id:42 stat:UNDELIV err:001", nil, Receipt{"42", false}, true},
		{"expired, capitals", typeReceipt, "ID:42 STAT:EXPIRED", nil, Receipt{"42", false}, true},
		{"on its way", typeReceipt, "id:42 stat:ACCEPTD", nil, Receipt{"42", false}, false},
		{"in parameters alone", typeReceipt, "", map[pdu.Tag]string{pdu.TagReceiptedMessageID: "2a\x00", pdu.TagMessageStateOption: "\x02"}, Receipt{"2a", true}, true},
		{"parameters against text", typeReceipt, usual, map[pdu.Tag]string{pdu.TagMessageStateOption: "\x05"}, Receipt{"42", false}, true},
		{"of nothing", typeReceipt, "stat:DELIVRD", nil, Receipt{"", true}, false},
		{"an SMS that looks like one", 0, usual, nil, Receipt{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, ok := pdu.NewDeliverSM().(*pdu.DeliverSM)
			if !ok {
				t.Fatal("got no deliver_sm")
			}
			m.EsmClass = test.class
			if err := m.Message.SetMessageDataWithEncoding([]byte(test.text), data.GSM7BIT); err != nil {
				t.Fatal(err)
			}
			for tag, value := range test.params {
				m.RegisterOptionalParam(pdu.Field{Tag: tag, Data: []byte(value)})
			}
			if got, final := receipt(m); got != test.want || final != test.final {
				t.Errorf("got %v, %t, want %v, %t", got, final, test.want, test.final)
			}
		})
	}
}
