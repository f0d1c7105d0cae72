package smpp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

// The header of a PDU (SMPP 3.4, section 3.2), and how long one may be.
const (
	headerSize = 16
	largest    = 8 << 10
)

// errSilent ends a session whose peer does not answer.
var errSilent = errors.New("the operator does not answer")

// session is one connection. Whoever calls may do so at once with others.
type session struct {
	conn     net.Conn
	patience time.Duration // with the answer to a request
	silence  time.Duration // with a peer that sends nothing at all
	receive  func(pdu.PDU) // what is no answer and no matter of the link

	writing sync.Mutex
	mu      sync.Mutex
	next    int32
	waiting map[int32]chan<- pdu.PDU
	err     error         // why it ended
	ended   chan struct{} // closed then
}

// end closes the connection once, and wakes whoever waits for an answer.
func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	_ = s.conn.Close()
	close(s.ended)
}

func (s *session) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// request sends a PDU and waits for its answer. After an error it is not known
// whether the peer has acted on it.
func (s *session) request(ctx context.Context, p pdu.PDU) (pdu.PDU, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.patience, errSilent)
	defer cancel()
	answer := make(chan pdu.PDU, 1)
	s.mu.Lock()
	s.next = max(1, (s.next+1)&0x7FFFFFFF) // section 5.1.4
	sequence := s.next
	s.waiting[sequence] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, sequence)
		s.mu.Unlock()
	}()
	p.SetSequenceNumber(sequence)
	if err := s.send(p); err != nil {
		return nil, err
	}
	select {
	case got := <-answer:
		return got, nil
	case <-s.ended:
		return nil, s.why()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *session) send(p pdu.PDU) error {
	b := pdu.NewBuffer(nil)
	p.Marshal(b)
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return fmt.Errorf("writing to the operator: %w", err)
	}
	if _, err := s.conn.Write(b.Bytes()); err != nil {
		s.end(fmt.Errorf("writing to the operator: %w", err)) // half a PDU may be out
		return s.why()
	}
	return nil
}

// read takes PDUs until the connection ends.
func (s *session) read() {
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(s.silence)); err != nil {
			s.end(fmt.Errorf("reading from the operator: %w", err))
			return
		}
		frame, err := readFrame(s.conn)
		if err != nil {
			s.end(fmt.Errorf("reading from the operator: %w", err))
			return
		}
		s.take(frame)
	}
}

// readFrame reads one PDU's octets. A length that cannot be one leaves the
// stream out of step: the connection is lost (section 2.9).
func readFrame(r io.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length < headerSize || length > largest {
		return nil, fmt.Errorf("a PDU of %d octets", length)
	}
	frame := make([]byte, length)
	copy(frame, header[:])
	_, err := io.ReadFull(r, frame[len(header):])
	return frame, err
}

// take acts upon a PDU. What cannot be read is refused by its number, which
// stands in the header (section 3.3).
func (s *session) take(frame []byte) {
	p, err := pdu.Parse(bytes.NewReader(frame))
	if err != nil {
		nack := pdu.NewGenericNack()
		refused, ok := nack.(*pdu.GenericNack)
		if ok && binary.BigEndian.Uint32(frame[4:])&responseBit == 0 {
			refused.CommandStatus = data.ESME_RINVCMDID
			refused.SequenceNumber = int32(binary.BigEndian.Uint32(frame[12:]) & 0x7FFFFFFF)
			_ = s.send(refused)
		}
		return
	}
	switch p.(type) {
	case *pdu.EnquireLink:
		_ = s.send(p.GetResponse())
	case *pdu.Unbind:
		_ = s.send(p.GetResponse())
		s.end(errors.New("the operator has unbound"))
	default:
		if p.CanResponse() {
			s.receive(p)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if answer, ok := s.waiting[p.GetSequenceNumber()]; ok {
			delete(s.waiting, p.GetSequenceNumber()) // one answer each
			answer <- p
		}
	}
}

// responseBit is set in the command_id of answers (section 5.1.2.1).
const responseBit = 0x80000000

// enquire asks now and then whether the peer is there (section 2.7).
func (s *session) enquire(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
		if _, err := s.request(ctx, pdu.NewEnquireLink()); err != nil {
			s.end(fmt.Errorf("enquiring the link: %w", err))
			return
		}
	}
}
