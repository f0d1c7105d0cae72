package api

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Limits bound what one client, and all together, can ask for.
type Limits struct {
	// Attempts paces identification and activation, by address.
	Attempts Rate
	// Tokens paces the token endpoint, by address.
	Tokens Rate
	// Calls paces the back ends' doors, by application.
	Calls Rate
	// Drain is how much of a body that is too large is still read, so that its
	// sender gets the answer instead of a broken connection.
	Drain int64
	// BodyMemory is how many bytes large bodies may occupy at a time, with
	// what is made of them; whoever comes when they are taken is told to wait.
	BodyMemory int64
}

// Rate lets Burst through at once and one more every Every.
type Rate struct {
	Every time.Duration
	Burst int
}

// DefaultLimits suit one process on an ordinary server.
func DefaultLimits() Limits {
	return Limits{
		Attempts:   Rate{Every: 2 * time.Second, Burst: 20},
		Tokens:     Rate{Every: time.Second, Burst: 60},
		Calls:      Rate{Every: 20 * time.Millisecond, Burst: 200},
		Drain:      64 << 20,
		BodyMemory: 768 << 20,
	}
}

// FormBytes bounds what people and OAuth clients send.
const FormBytes = 64 << 10

const (
	// largeBody is from where on a body counts against BodyMemory.
	largeBody = 1 << 20
	// bodyCopies is what a byte of a body costs while it is at work: as it
	// came, decoded, prepared, and on its way to the database.
	bodyCopies = 3
	// patience and slowest bound how long a body may take, each way.
	patience = 30 * time.Second
	slowest  = 256 << 10 // bytes a second
)

// throttle paces keys with the generic cell rate algorithm (ITU-T I.371,
// annex A): of each key only the moment is kept at which its bucket is full
// again. It paces one process; attempts on a password or a code are counted
// in the database, by the signer.
type throttle struct {
	rate Rate
	now  func() time.Time

	mu    sync.Mutex
	full  map[string]time.Time
	sweep time.Time
}

const sweepEvery = time.Minute

func newThrottle(rate Rate, now func() time.Time) *throttle {
	return &throttle{rate: rate, now: now, full: make(map[string]time.Time), sweep: now()}
}

// take spends one of the key's turns, or says how long to wait for it.
func (t *throttle) take(key string) (wait time.Duration) { return t.spend(key, t.rate).wait }

// turns is what a key has left.
type turns struct {
	wait  time.Duration // for the next one, if there is none
	left  int
	reset time.Duration // until there are as many as there can be
}

// spend is take at a pace of the key's own.
func (t *throttle) spend(key string, rate Rate) turns {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Sub(t.sweep) > sweepEvery {
		t.forget(now)
	}
	full := t.full[key]
	if full.Before(now) {
		full = now
	}
	ahead := full.Sub(now)
	if wait := ahead - time.Duration(rate.Burst-1)*rate.Every; wait > 0 {
		return turns{wait: wait, reset: ahead}
	}
	ahead += rate.Every
	t.full[key] = now.Add(ahead)
	return turns{left: rate.Burst - int((ahead+rate.Every-1)/max(rate.Every, 1)), reset: ahead}
}

// forget drops the keys whose buckets are full: they are as if never seen.
func (t *throttle) forget(now time.Time) {
	for key, full := range t.full {
		if full.Before(now) {
			delete(t.full, key)
		}
	}
	t.sweep = now
}

// Pace gives a room a pace of its own, by address: what it returns spends a
// turn, or says how long the client has to wait for the next.
func (s *Site) Pace(rate Rate) func(c echo.Context) time.Duration {
	t := newThrottle(rate, s.Now)
	return func(c echo.Context) time.Duration { return t.take(network(c.RealIP())) }
}

func (t *throttle) admit(key string) error {
	if wait := t.take(key); wait > 0 {
		return policies.Refuse(policies.RateLimited, "seconds", Seconds(wait)).After(wait)
	}
	return nil
}

// Turn spends one of an application's turns, at the pace that is its own or the
// deployment's, and tells it how many are left (policies.RateLimited). It is for
// whoever has shown to be that application: nobody spends another's.
func (s *Site) Turn(c echo.Context, client signer.Client) error {
	rate := s.calls.rate
	if client.Calls > 0 {
		rate = Rate{Every: time.Second / time.Duration(client.Calls), Burst: 4 * client.Calls}
	}
	t := s.calls.spend(client.ID, rate)
	h := c.Response().Header()
	h.Set("RateLimit-Limit", strconv.Itoa(rate.Burst))
	h.Set("RateLimit-Remaining", strconv.Itoa(t.left))
	h.Set("RateLimit-Reset", Seconds(t.reset))
	if t.wait > 0 {
		return policies.Refuse(policies.RateLimited, "seconds", Seconds(t.wait)).After(t.wait)
	}
	return nil
}

// Attempts paces a route by address: for the POSTs that identify and activate.
func (s *Site) Attempts() echo.MiddlewareFunc { return s.perAddress(s.attempts) }

func (*Site) perAddress(t *throttle) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := t.admit(network(c.RealIP())); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// network is what one subscriber holds: an IPv4 address, or an IPv6 /64.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}

// Accept bounds the body of a route. A larger one is document_too_large; a
// large one may have to wait for its turn.
func (s *Site) Accept(limit int64) echo.MiddlewareFunc {
	return s.bounded(limit, func(c echo.Context, size int64) (func(), error) {
		if size < largeBody {
			return func() {}, nil
		}
		weight := min(bodyCopies*size, s.Limits.BodyMemory)
		if !s.memory.TryAcquire(weight) {
			return nil, policies.Refuse(policies.Busy).After(5 * time.Second)
		}
		s.Patient(c, size)
		return func() { s.memory.Release(weight) }, nil
	})
}

// Stream bounds bodies that are never held: they take time, no memory.
func (s *Site) Stream(limit int64) echo.MiddlewareFunc {
	return s.bounded(limit, func(c echo.Context, size int64) (func(), error) {
		s.Patient(c, size)
		return func() {}, nil
	})
}

// bounded refuses larger bodies, and asks admit before it lets one in.
func (s *Site) bounded(limit int64, admit func(c echo.Context, size int64) (release func(), err error)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			body, size := r.Body, r.ContentLength
			if size > limit {
				return s.tooLarge(c, body)
			}
			if size < 0 {
				size = limit // it does not say: the worst is assumed
			}
			release, err := admit(c, size)
			if err != nil {
				return err
			}
			defer release()
			r.Body = http.MaxBytesReader(c.Response(), body, limit)
			err = next(c)
			if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
				return s.tooLarge(c, body)
			}
			return err
		}
	}
}

// tooLarge reads on for a while: a client that is cut off while it sends sees
// no answer. One that waits for leave to send is not given it, and one that
// would be cut off all the same is read no further.
func (s *Site) tooLarge(c echo.Context, body io.Reader) error {
	if r := c.Request(); r.Header.Get("Expect") == "" && r.ContentLength <= s.Limits.Drain {
		s.Patient(c, s.Limits.Drain)
		// What happens to a body that is refused does not matter.
		_, _ = io.CopyN(io.Discard, body, s.Limits.Drain)
	}
	return policies.Refuse(policies.DocumentTooLarge)
}

// Patient gives a route time for a body of this size, in or out.
func (*Site) Patient(c echo.Context, size int64) {
	deadline := time.Now().Add(patience + time.Duration(size/slowest)*time.Second)
	control := http.NewResponseController(c.Response())
	// A connection that knows no deadlines is one of a test.
	_ = control.SetReadDeadline(deadline)
	_ = control.SetWriteDeadline(deadline.Add(patience))
}

// Waiting gives an answer that is waited for its time.
func (*Site) Waiting(c echo.Context, longest time.Duration) {
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(longest + patience))
}

// AcceptedBytes is the largest body that carries documents of so many bytes
// in base64, with what stands around them.
func AcceptedBytes(documents int, bytes int64) int64 {
	return int64(documents)*(bytes/3*4+4+(4<<10)) + FormBytes
}
