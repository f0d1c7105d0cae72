package validation

import "github.com/hashicorp/golang-lru/v2/simplelru"

// shelf keeps what was used last, bounded in number and in octets. Its callers
// serialise.
type shelf[V sized] struct {
	order *simplelru.LRU[string, V]
	used  int
	most  int
}

// sized is what knows how much memory it takes.
type sized interface{ size() int }

// overhead is what an entry costs beside its octets: map, list and headers.
const overhead = 1 << 10

// newShelf makes a shelf; gone hears of what has left it.
func newShelf[V sized](entries, octets int, gone func(key string, value V)) (*shelf[V], error) {
	s := &shelf[V]{most: octets}
	order, err := simplelru.NewLRU(entries, func(key string, value V) {
		s.used -= cost(key, value)
		gone(key, value)
	})
	if err != nil {
		return nil, err
	}
	s.order = order
	return s, nil
}

func cost(key string, value sized) int { return len(key) + value.size() + overhead }

// put keeps a value in place of what was under the key, if it has room at all.
func (s *shelf[V]) put(key string, value V) bool {
	s.order.Remove(key)
	if cost(key, value) > s.most {
		return false
	}
	s.used += cost(key, value)
	s.order.Add(key, value)
	for s.used > s.most {
		s.order.RemoveOldest()
	}
	return true
}
