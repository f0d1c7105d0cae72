package validation

import (
	"slices"
	"sync"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
)

const (
	// trust is how long a poll of the feed vouches for the memory. With what it
	// takes to send an answer it stays below the second that is promised.
	trust = 800 * time.Millisecond
	// variants is how many requests about one certificate are remembered: few
	// forms are in use, and whoever makes up others shall not fill the memory.
	variants = 8
)

// memory keeps answers by the octets of their request.
type memory struct {
	mu       sync.Mutex
	answers  *shelf[*answer]
	requests map[string][]string // keys of answers by serial, oldest first

	// position is up to where the feed was read, and polled when the last poll
	// began that found nothing after it; zero before the first.
	position int64
	polled   time.Time
	// epoch grows whenever anything may have become stale.
	epoch uint64
}

func newMemory(entries, octets int) (*memory, error) {
	m := &memory{requests: make(map[string][]string)}
	var err error
	m.answers, err = newShelf(entries, octets, m.gone)
	return m, err
}

// gone keeps the index true to the shelf.
func (m *memory) gone(key string, a *answer) {
	left := slices.DeleteFunc(m.requests[a.serial], func(k string) bool { return k == key })
	if m.requests[a.serial] = left; len(left) == 0 {
		delete(m.requests, a.serial)
	}
}

// recall finds the answer to a request, if the feed vouches for it and it has
// not expired.
func (m *memory) recall(request []byte, now time.Time) (*answer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.vouched(now) {
		return nil, false
	}
	a, ok := m.answers.order.Get(string(request))
	return a, ok && now.Before(a.ends)
}

func (m *memory) vouched(now time.Time) bool { return !m.polled.IsZero() && now.Sub(m.polled) < trust }

// now is the epoch, to be read before the signer is asked.
func (m *memory) now() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch
}

// keep remembers the answer to a request that was sent in an epoch, unless that
// is over.
func (m *memory) keep(request []byte, a *answer, epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch != epoch || m.polled.IsZero() {
		return
	}
	key := string(request)
	if !m.answers.put(key, a) {
		return
	}
	m.requests[a.serial] = append(m.requests[a.serial], key)
	if keys := m.requests[a.serial]; len(keys) > variants {
		m.answers.order.Remove(keys[0])
	}
}

// place is up to where the feed has been read, unless that was too long ago to
// go on from there.
func (m *memory) place(now time.Time) (position int64, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.position, m.vouched(now)
}

// restart forgets all, and begins at a position read by a poll.
func (m *memory) restart(position int64, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers.order.Purge()
	m.epoch++
	m.position, m.polled = position, began
}

// forget drops what changes have made stale.
func (m *memory) forget(changes []ca.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	for _, c := range changes {
		for _, key := range slices.Clone(m.requests[c.Serial]) {
			m.answers.order.Remove(key)
		}
		m.position = c.Seq
	}
}

// vouch says that a poll found nothing new.
func (m *memory) vouch(began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polled = began
}
