package hsm

import (
	"sync"

	"github.com/miekg/pkcs11"
)

// maxHandles bounds what is remembered: a citizen's key is an object each.
const maxHandles = 4096

// handles remembers where the token's objects were found in the present epoch.
type handles struct {
	mu    sync.RWMutex
	known map[object]pkcs11.ObjectHandle
}

func (h *handles) get(o object) (pkcs11.ObjectHandle, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	handle, ok := h.known[o]
	return handle, ok
}

// put remembers a handle, if it is still good, and makes room by forgetting any
// other.
func (h *handles) put(o object, handle pkcs11.ObjectHandle, good func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !good() {
		return
	}
	if len(h.known) >= maxHandles {
		for other := range h.known {
			delete(h.known, other)
			break
		}
	}
	h.known[o] = handle
}

func (h *handles) forget(o object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.known, o)
}

func (h *handles) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.known)
}
