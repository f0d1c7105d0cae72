// Package smpp hands short messages to an operator's message centre over SMPP
// 3.4 (the specification of 12 October 1999), as a transceiver.
//
// It promises that no message is sent twice on one call, that one which was
// not accepted is an error, and that a connection which is gone is made anew
// by itself. The PDUs are gosmpp's; connection, window, alphabets and splitting
// are its own (docs/adr/0021-smpp.md says why).
package smpp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

// ErrNotBound means that there is no connection with the operator now.
var ErrNotBound = errors.New("not bound to the operator")

// ErrTooLong means that a text is longer than anybody means to send.
var ErrTooLong = errors.New("the text has too many parts")

// StatusError is an answer that refuses a request.
type StatusError struct {
	Status uint32 // command_status, section 5.1.3
}

func (e *StatusError) Error() string { return fmt.Sprintf("the operator answered 0x%08X", e.Status) }

// throttled is whether the same request may succeed a little later.
func (e *StatusError) throttled() bool {
	status := data.CommandStatusType(e.Status) //nolint:gosec // as it stands in the PDU
	return status == data.ESME_RTHROTTLED || status == data.ESME_RMSGQFUL
}

// Config is an account at an operator.
type Config struct {
	Address    string // host:port
	SystemID   string
	Password   []byte
	SystemType string
	// TLS is nil for a connection in the clear.
	TLS *tls.Config
	// Source is who the messages come from: a number (+34…, or a short one) or
	// up to eleven letters.
	Source string
	// Window is how many messages may wait for their answer at once.
	Window int
	// Patience is how long an answer may take.
	Patience time.Duration
	// Enquire is how often the link is tried.
	Enquire time.Duration
	// Pause is the first wait after a failed connection or a throttled message,
	// MaxPause the longest. Each is doubled and spread by chance.
	Pause, MaxPause time.Duration
	// Receipt is told of each message that has arrived or is lost. It may be
	// told before Submit has returned.
	Receipt func(ctx context.Context, r Receipt)
	Logger  *slog.Logger
}

// Client is bound to an operator while Run runs.
type Client struct {
	Config

	slots    chan struct{}
	receipts chan Receipt

	mu    sync.Mutex
	bound *session // nil while there is none
	mark  uint8    // of the newest message in parts
}

// New makes a client of an account, with usual numbers where it gives none.
func New(c Config) *Client {
	defaults(&c.Window, 10)
	defaults(&c.Patience, 4*time.Second)
	defaults(&c.Enquire, 30*time.Second)
	defaults(&c.Pause, 200*time.Millisecond)
	defaults(&c.MaxPause, 30*time.Second)
	return &Client{Config: c, slots: make(chan struct{}, c.Window), receipts: make(chan Receipt, waitingReceipts)}
}

func defaults[T int | time.Duration](value *T, usual T) {
	if *value <= 0 {
		*value = usual
	}
}

// Receipts are told by several at once, since telling one may have to wait; more
// than these make the operator send them again.
const (
	receiptTellers  = 4
	waitingReceipts = 256
)

// Run keeps bound until ctx ends; then it unbinds.
func (c *Client) Run(ctx context.Context) {
	var tellers sync.WaitGroup
	defer tellers.Wait()
	for range receiptTellers {
		tellers.Go(func() { c.tell(ctx) })
	}
	for pause := c.Pause; ctx.Err() == nil; pause = min(2*pause, c.MaxPause) {
		began := time.Now()
		err := c.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > c.MaxPause {
			pause = c.Pause // it has worked for a while
		}
		c.Logger.WarnContext(ctx, "sms_operator_lost", "address", c.Address, "error", err)
		sleep(ctx, pause)
	}
}

// serve connects, binds and serves until the connection or ctx ends.
func (c *Client) serve(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	s := &session{
		conn: conn, patience: c.Patience, silence: c.Enquire + 2*c.Patience,
		waiting: make(map[int32]chan<- pdu.PDU), ended: make(chan struct{}),
	}
	s.receive = func(p pdu.PDU) { c.receive(s, p) }
	var group sync.WaitGroup
	defer group.Wait()
	defer s.end(errors.New("closed"))
	group.Go(s.read)
	if err := c.bind(ctx, s); err != nil {
		return fmt.Errorf("binding: %w", err)
	}
	group.Go(func() { s.enquire(context.WithoutCancel(ctx), c.Enquire) })
	c.use(s)
	c.Logger.InfoContext(ctx, "sms_operator_bound", "address", c.Address)
	select {
	case <-s.ended:
		c.use(nil)
		return s.why()
	case <-ctx.Done():
		c.use(nil)
		_, err := s.request(context.WithoutCancel(ctx), pdu.NewUnbind())
		return err
	}
}

func (c *Client) use(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound = s
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	if c.TLS != nil {
		return (&tls.Dialer{Config: c.TLS}).DialContext(ctx, "tcp", c.Address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", c.Address)
}

func (c *Client) bind(ctx context.Context, s *session) error {
	b := pdu.NewBindRequest(pdu.Transceiver)
	b.SystemID, b.Password, b.SystemType = c.SystemID, string(c.Password), c.SystemType
	answer, err := s.request(ctx, b)
	if err != nil {
		return err
	}
	return accepted(answer)
}

func accepted(p pdu.PDU) error {
	if h := p.GetHeader(); h.CommandStatus != data.ESME_ROK || p.IsGNack() {
		return &StatusError{Status: uint32(h.CommandStatus)} //nolint:gosec // four octets either way
	}
	return nil
}

// receive takes what the operator sends of its own accord: receipts. Anything
// else (a citizen's answer) is accepted, since the operator would send it
// again and again, and dropped.
func (c *Client) receive(s *session, p pdu.PDU) {
	m, ok := p.(*pdu.DeliverSM)
	if !ok || c.Receipt == nil {
		_ = s.send(p.GetResponse())
		return
	}
	answer := pdu.NewDeliverSMRespFromReq(m)
	if r, final := receipt(m); final {
		select {
		case c.receipts <- r:
		default:
			if later, ok := answer.(*pdu.DeliverSMResp); ok {
				later.CommandStatus = data.ESME_RX_T_APPN
			}
		}
	}
	_ = s.send(answer)
}

func (c *Client) tell(ctx context.Context) {
	for {
		select {
		case r := <-c.receipts:
			c.Receipt(ctx, r)
		case <-ctx.Done():
			return
		}
	}
}

// maxParts bounds a message: nothing of ours is half as long.
const maxParts = 6

// Submit hands a text over, in parts if need be, and returns what the operator
// calls its last part: the one that a receipt tells of.
func (c *Client) Submit(ctx context.Context, to, text string) (string, error) {
	parts, coding := encode(text)
	if len(parts) > maxParts {
		return "", fmt.Errorf("%w: %d", ErrTooLong, len(parts))
	}
	c.mu.Lock()
	s := c.bound
	c.mark++
	mark := c.mark
	c.mu.Unlock()
	if s == nil {
		return "", ErrNotBound
	}
	var id string
	for i, part := range parts {
		m, err := c.message(to, part, coding)
		if err != nil {
			return "", err
		}
		if len(parts) > 1 {
			m.EsmClass |= data.SM_UDH_GSM
			m.Message.SetUDH(pdu.UDH{pdu.NewIEConcatMessage(uint8(len(parts)), uint8(i+1), mark)}) //nolint:gosec // at most maxParts
		}
		if i == len(parts)-1 {
			m.RegisteredDelivery = data.SM_SMSC_RECEIPT_REQUESTED
		}
		if id, err = c.submit(ctx, s, m); err != nil {
			return "", err
		}
	}
	return id, nil
}

func (c *Client) message(to string, octets []byte, coding data.Encoding) (*pdu.SubmitSM, error) {
	m, ok := pdu.NewSubmitSM().(*pdu.SubmitSM)
	if !ok {
		return nil, errors.New("composing a submit_sm")
	}
	var err error
	if m.SourceAddr, err = address(c.Source); err != nil {
		return nil, fmt.Errorf("addressing an SMS: %w", err)
	}
	if m.DestAddr, err = address(to); err != nil {
		return nil, fmt.Errorf("addressing an SMS: %w", err)
	}
	if err := m.Message.SetMessageDataWithEncoding(octets, coding); err != nil {
		return nil, fmt.Errorf("composing an SMS: %w", err)
	}
	return m, nil
}

// submit sends one part. While the operator throttles it waits, for longer each
// time, and keeps its place in the window: so the others slow down too.
func (c *Client) submit(ctx context.Context, s *session, m *pdu.SubmitSM) (string, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for the window: %w", ctx.Err())
	}
	for pause := c.Pause; ; pause = min(2*pause, c.MaxPause) {
		answer, err := s.request(ctx, m)
		if err != nil {
			return "", fmt.Errorf("submitting an SMS: %w", err)
		}
		err = accepted(answer)
		if refused, ok := errors.AsType[*StatusError](err); ok && refused.throttled() {
			if sleep(ctx, pause) {
				continue
			}
		}
		if err != nil {
			return "", fmt.Errorf("submitting an SMS: %w", err)
		}
		if taken, ok := answer.(*pdu.SubmitSMResp); ok {
			return taken.MessageID, nil
		}
		return "", errors.New("submitting an SMS: the operator's answer is of another kind")
	}
}

// sleep waits between half of d and d, so that many clients do not come back at
// once. It reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	half, err := rand.Int(rand.Reader, big.NewInt(int64(d/2)+1))
	if err == nil {
		d = d/2 + time.Duration(half.Int64())
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
