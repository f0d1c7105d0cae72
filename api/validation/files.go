package validation

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/singleflight"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// certificateFresh is how long a certificate need not be asked for again.
	// It may be replaced by another of the same key, so it is not for ever.
	certificateFresh = time.Hour
	// listFresh is the same of a list, which the next revocation replaces.
	listFresh = time.Minute
	// listKept is how long a list is served without another look for a newer.
	listKept = time.Second
)

// file serves what certificates lead to: /ca/{member}.cer and /ca/{shard}.crl,
// in DER, with the media types of RFC 2585, section 4.
func (d *Desk) file(c echo.Context) error {
	name, kind, ok := fileName(c.Param("file"))
	if !ok {
		return policies.Refuse(policies.NotFound)
	}
	if kind == "crl" {
		return d.list(c, name)
	}
	if name == "issuing" { // as certificates of before the authority had generations name it
		name = "issuing-1"
	}
	der, err := d.Published.AuthorityDER(c.Request().Context(), name)
	if err != nil {
		return err
	}
	return download(c, published{der: der, tag: tag(der)}, "application/pkix-cert", certificateFresh)
}

// fileNames are those of members and shards, with their kind.
var fileNames = regexp.MustCompile(`^([a-z][a-z0-9-]{0,63})\.(cer|crl)$`)

func fileName(s string) (name, kind string, ok bool) {
	parts := fileNames.FindStringSubmatch(s)
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}

func (d *Desk) list(c echo.Context, shard string) error {
	now := d.Now()
	l, err := d.lists.get(c.Request().Context(), shard, now)
	if err != nil {
		return err
	}
	return download(c, l, "application/pkix-crl", max(0, min(listFresh, l.next.Sub(now))))
}

// published is a file.
type published struct {
	der            []byte
	tag            string
	modified, next time.Time
	read           time.Time
}

func (p published) size() int { return len(p.der) }

// download sends a file that caches may keep. Only its tag tells whether a
// client has it: two lists may be of the same second.
func download(c echo.Context, p published, mediaType string, fresh time.Duration) error {
	h := c.Response().Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "public, max-age="+api.Seconds(fresh))
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Etag", p.tag)
	c.Request().Header.Del("If-Modified-Since")
	http.ServeContent(c.Response(), c.Request(), "", p.modified, bytes.NewReader(p.der))
	return nil
}

// library keeps the lists that were asked for last: they are large, and anybody
// may ask for them as often as he likes.
type library struct {
	from    Published
	flights singleflight.Group
	mu      sync.Mutex
	lists   *shelf[published]
}

func newLibrary(from Published, octets int) (*library, error) {
	lists, err := newShelf(1<<10, octets, func(string, published) {})
	return &library{from: from, lists: lists}, err
}

func (l *library) get(ctx context.Context, shard string, now time.Time) (published, error) {
	l.mu.Lock()
	p, ok := l.lists.order.Get(shard)
	l.mu.Unlock()
	if ok && now.Sub(p.read) < listKept {
		return p, nil
	}
	got, err, _ := l.flights.Do(shard, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		list, err := l.from.RevocationList(ctx, shard)
		if err != nil {
			return published{}, err
		}
		p := published{der: list.DER, tag: tag(list.DER), modified: list.ThisUpdate, next: list.NextUpdate, read: now}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lists.put(shard, p)
		return p, nil
	})
	p, _ = got.(published) // it is nothing else
	return p, err
}
