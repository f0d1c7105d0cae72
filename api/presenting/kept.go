package presenting

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/rubrica-firma/rubrica/signer/cades"
)

// What is kept at most.
const (
	maxStatuses = 20_000
	maxLists    = 16
)

// kept is what authorities said lately. Failures are not kept; of several who
// ask the same at once, one fetches.
type kept struct {
	statuses *lru.Cache[[sha256.Size]byte, status]
	lists    *lru.Cache[string, keptList]
	asking   singleflight.Group
}

type keptList struct {
	*cades.List
	until time.Time
}

func newKept() (*kept, error) {
	statuses, err := lru.New[[sha256.Size]byte, status](maxStatuses)
	if err != nil {
		return nil, err
	}
	lists, err := lru.New[string, keptList](maxLists)
	return &kept{statuses: statuses, lists: lists}, err
}

func (k *kept) status(of [sha256.Size]byte, now func() time.Time, fetch func() (status, error)) (status, error) {
	if s, ok := k.statuses.Get(of); ok && now().Before(s.until) {
		return s, nil
	}
	found, err, _ := k.asking.Do("status "+hex.EncodeToString(of[:]), func() (any, error) {
		s, err := fetch()
		if err == nil {
			k.statuses.Add(of, s)
		}
		return s, err
	})
	s, _ := found.(status)
	return s, err
}

// list is that of an address for an issuer: another's could stand there, too.
func (k *kept) list(address string, issuer *x509.Certificate, now func() time.Time, fetch func() (*cades.List, time.Time, error)) (*cades.List, time.Time, error) {
	sum := sha256.Sum256(issuer.Raw)
	key := "list " + hex.EncodeToString(sum[:]) + address
	if l, ok := k.lists.Get(key); ok && now().Before(l.until) {
		return l.List, l.until, nil
	}
	found, err, _ := k.asking.Do(key, func() (any, error) {
		list, until, err := fetch()
		if err == nil {
			k.lists.Add(key, keptList{list, until})
		}
		return keptList{list, until}, err
	})
	l, _ := found.(keptList)
	return l.List, l.until, err
}
