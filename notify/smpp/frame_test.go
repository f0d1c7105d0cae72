package smpp

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

// FuzzFrame feeds a session what an operator may send: it neither panics nor
// hangs, and a frame that was read is as long as it says.
func FuzzFrame(f *testing.F) {
	answer, _ := pdu.NewSubmitSMResp().(*pdu.SubmitSMResp)
	answer.MessageID = "m-1"
	told, _ := pdu.NewDeliverSM().(*pdu.DeliverSM)
	told.EsmClass = typeReceipt
	_ = told.Message.SetMessageDataWithEncoding([]byte("id:m-1 sub:001 dlvrd:001 stat:DELIVRD err:000 text:x"), data.GSM7BIT)
	told.RegisterOptionalParam(pdu.Field{Tag: pdu.TagReceiptedMessageID, Data: []byte("m-1\x00")})
	for _, p := range []pdu.PDU{answer, told, pdu.NewEnquireLink(), pdu.NewUnbind(), pdu.NewGenericNack()} {
		b := pdu.NewBuffer(nil)
		p.Marshal(b)
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, octets []byte) {
		frame, err := readFrame(bytes.NewReader(octets))
		if err != nil {
			return
		}
		if got := int(binary.BigEndian.Uint32(frame)); got != len(frame) || !bytes.HasPrefix(octets, frame) {
			t.Fatalf("got a frame of %d octets that says %d", len(frame), got)
		}
		near, far := net.Pipe()
		defer far.Close() //nolint:errcheck // of a pipe
		go func() {       // whoever it answers
			for {
				if _, err := far.Read(make([]byte, largest)); err != nil {
					return
				}
			}
		}()
		s := &session{conn: near, patience: time.Second, waiting: make(map[int32]chan<- pdu.PDU), ended: make(chan struct{})}
		c := New(Config{})
		s.receive = func(p pdu.PDU) { c.receive(s, p) }
		s.take(frame)
		s.end(net.ErrClosed)
	})
}
