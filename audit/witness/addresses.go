package witness

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses bounds what is remembered of who asks.
const maxAddresses = 4096

// addresses limits how often each address asks. Of IPv6 it is the network of 64
// bits, of which a host may have all addresses.
type addresses struct {
	rate  rate.Limit
	burst int

	mu       sync.Mutex
	limiters map[netip.Prefix]*rate.Limiter
}

func newAddresses(perSecond float64) *addresses {
	return &addresses{rate: rate.Limit(perSecond), burst: max(1, int(4*perSecond)), limiters: make(map[netip.Prefix]*rate.Limiter)}
}

func (a *addresses) allow(remote string, now time.Time) bool {
	network := networkOf(remote)
	a.mu.Lock()
	defer a.mu.Unlock()
	limiter, known := a.limiters[network]
	if !known {
		a.makeRoom(now)
		limiter = rate.NewLimiter(a.rate, a.burst)
		a.limiters[network] = limiter
	}
	return limiter.AllowN(now, 1)
}

// makeRoom forgets those who have not asked for long, for whom it makes no
// difference, and at worst a quarter of the others: seldom, since it looks at all.
func (a *addresses) makeRoom(now time.Time) {
	if len(a.limiters) < maxAddresses {
		return
	}
	for network, limiter := range a.limiters {
		if limiter.TokensAt(now) >= float64(a.burst) {
			delete(a.limiters, network)
		}
	}
	for network := range a.limiters {
		if len(a.limiters) <= maxAddresses*3/4 {
			break
		}
		delete(a.limiters, network)
	}
}

// networkOf is the zero prefix for what is no address: all of those share one.
func networkOf(remote string) netip.Prefix {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	host, bits := address.Addr().Unmap().WithZone(""), 64
	if host.Is4() {
		bits = 32
	}
	network, err := host.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
