package bench

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/api/validation"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/online"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// desk holds OCSP answers from the memory of the whole public side against a
// bare handler that sends the same octets: the same server, connections and
// client, in turns.
func (c *CA) desk(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "desk", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	if _, err := t.enrol(ctx); err != nil {
		return nil, fmt.Errorf("enrolling: %w", err)
	}
	f, err := newFilling(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.conn.Close(ctx) }()
	var serial string
	if err := f.conn.QueryRow(ctx, `SELECT serial FROM certificates LIMIT 1`).Scan(&serial); err != nil {
		return nil, fmt.Errorf("reading a serial number: %w", err)
	}
	authority, err := t.issuing(ctx)
	if err != nil {
		return nil, err
	}
	asker, err := newAsker(authority.Certificate)
	if err != nil {
		return nil, err
	}
	request, err := asker.request(serial, nil)
	if err != nil {
		return nil, err
	}
	site, err := t.site(ctx)
	if err != nil {
		return nil, err
	}
	defer site.close()
	// As the command sets it.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	encoded := url.QueryEscape(base64.StdEncoding.EncodeToString(request))
	var figures []Figure
	for _, q := range []struct{ name, text string }{
		{"ca/ocsp", fmt.Sprintf("POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n%s", len(request), request)},
		{"ca/ocsp_get", fmt.Sprintf("GET /ocsp/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", encoded)},
	} {
		more, err := c.rush(ctx, q.name, site, []byte(q.text))
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", q.name, err)
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// rush asks both sides the same.
func (c *CA) rush(ctx context.Context, name string, site *site, ask []byte) ([]Figure, error) {
	ours, err := meet(ctx, site.handler, ask)
	if err != nil {
		return nil, err
	}
	defer ours.close()
	theirs, err := meet(ctx, ours.bare(), ask)
	if err != nil {
		return nil, err
	}
	defer theirs.close()
	if ours.size != theirs.size {
		return nil, fmt.Errorf("the bare handler's answer has %d octets, ours %d", theirs.size, ours.size)
	}
	site.asked.Store(0)
	both := [2]*rival{ours, theirs}
	rounds := 4*c.Rounds + 1
	for round := range rounds + 1 {
		for i := range both {
			if err := both[(round+i)%2].turn(round > 0); err != nil {
				return nil, err
			}
		}
	}
	// Each turn, the site may find that the feed was not read in time.
	if n := site.asked.Load(); n > int64(rounds) {
		return nil, fmt.Errorf("the signer was asked %d times for what should be in memory", n)
	}
	return []Figure{
		info(name+"_memory_per_second", median(ours.rate), "1/s"),
		info(name+"_bare_per_second", median(theirs.rate), "1/s"),
		above(name+"_memory_over_bare", median(ratios(ours.rate, theirs.rate)), 0.50),
		info(name+"_memory_p99", 1000*median(ours.tail), "ms"),
		info(name+"_bare_p99", 1000*median(theirs.tail), "ms"),
		info(name+"_memory_p99_over_bare", median(ratios(ours.tail, theirs.tail)), "ratio"),
	}, nil
}

// site is the public side with all its rooms, as the command has it, with the
// authority in the same process.
type site struct {
	handler http.Handler
	*unhurried

	close func()
}

// unhurried counts what does not come from memory.
type unhurried struct {
	*online.CA

	asked atomic.Int64
}

// OCSP implements validation.Validation.
func (u *unhurried) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	u.asked.Add(1)
	return u.CA.OCSP(ctx, request)
}

func (t *town) site(ctx context.Context) (*site, error) {
	authority, err := t.authority(ctx)
	if err != nil {
		return nil, err
	}
	s := &site{unhurried: &unhurried{CA: authority}}
	logger := slog.New(slog.NewJSONHandler(t.log, nil))
	desk, err := validation.New(validation.Config{
		Validation: s.unhurried, Feed: t.public, Published: t.public, Limits: validation.DefaultLimits(), Logger: logger, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	if s.handler, err = t.rooms(logger, desk); err != nil { //nolint:contextcheck // parsing templates asks nobody
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() { desk.Follow(ctx); close(followed) }()
	s.close = func() { cancel(); <-followed }
	time.Sleep(time.Second) // until the feed has been read
	return s, nil
}

// directly changes passwords at once, with no link to be followed first.
type directly struct{ *citizen.Service }

// ChangePassword implements pages.Register.
func (d directly) ChangePassword(ctx context.Context, t signer.Ticket, p citizen.Password) (waits bool, err error) {
	return false, d.Service.ChangePassword(ctx, t, p)
}

// rooms leaves out only who reads documents: nobody sends any.
func (t *town) rooms(logger *slog.Logger, desk *validation.Desk) (http.Handler, error) {
	sentences, err := catalogue.New()
	if err != nil {
		return nil, fmt.Errorf("loading the catalogue: %w", err)
	}
	drawn, err := pages.New(pages.Options{Catalogue: sentences, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("preparing the pages: %w", err)
	}
	core := requests.New(requests.Config{
		Store: t.public, Opener: t.module, Rules: policies.DefaultRules(), Limits: requests.DefaultLimits(), Now: time.Now,
	})
	door := pages.NewDoor(pages.DoorConfig{
		Pages: drawn, Store: t.public, Requests: core, Module: t.module, Register: directly{t.register}, Rules: policies.DefaultRules(), Now: time.Now,
	})
	native, err := rest.Room(rest.Config{
		Requests: core, Store: t.public, Register: t.register, SigningPath: pages.SigningPath, Limits: core.Limits,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the native interface: %w", err)
	}
	return api.New(api.Config{
		PublicURL: base, Catalogue: sentences, Clients: t.public, ErrorPage: door.Trouble,
		Rooms: []func(*api.Site){desk.Room, native, door.Room}, Limits: api.DefaultLimits(), Logger: logger, Now: time.Now,
	})
}
