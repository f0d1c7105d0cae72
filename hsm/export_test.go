package hsm

import "time"

// LosePool closes the idle sessions of the pool behind the Token's back; the
// login stays, with the anchor session.
func (t *Token) LosePool() error {
	var idle []*session
	defer func() {
		for _, s := range idle {
			t.release(s)
		}
	}()
	for {
		select {
		case s := <-t.pool:
			idle = append(idle, s)
			if err := t.closeSession(s.handle); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// LoseAnchor closes the anchor session behind the Token's back; the login stays
// as long as the pool has sessions open.
func (t *Token) LoseAnchor() error {
	if err := t.link.take(t.wait); err != nil {
		return err
	}
	defer t.link.drop()
	return t.closeSession(t.anchor.handle)
}

// MaxHandles bounds what a Token remembers.
const MaxHandles = maxHandles

// Remember makes the Token remember one more object.
func (t *Token) Remember(label string) {
	t.handles.put(privateKey(label), 1, func() bool { return true })
}

// Remembered is how many objects the Token remembers.
func (t *Token) Remembered() int {
	t.handles.mu.RLock()
	defer t.handles.mu.RUnlock()
	return len(t.handles.known)
}

// Overtake has the token reopened twice: once before begin, and once more when what
// begin started waits for its session to be renewed. What goes wrong from then on,
// last says.
func (t *Token) Overtake(begin, last func()) error {
	if err := t.link.take(t.wait); err != nil {
		return err
	}
	defer t.link.drop()
	t.disconnect(errDown)
	if err := t.connect(); err != nil {
		return err
	}
	begin()
	time.Sleep(100 * time.Millisecond)
	t.disconnect(errDown)
	defer last()
	return t.connect()
}
