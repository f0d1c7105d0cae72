package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/api"
)

const (
	visitors = 8   // connections at once
	visits   = 250 // of each in a turn
)

// rival is a server with connections to it.
type rival struct {
	server *http.Server
	conns  []net.Conn
	ask    []byte

	header http.Header // of an answer
	body   []byte
	size   int // of the whole answer, in octets

	rate, tail []float64 // answers a second and the 99th percentile in seconds, by turn
}

// meet starts a server, opens connections to it and asks it once or twice. From
// then on an answer is known by its length: a client that read more into it
// would cost more than the server that is measured.
func meet(ctx context.Context, handler http.Handler, ask []byte) (_ *rival, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	r := &rival{server: api.Server(handler, ""), ask: ask}
	go func() { _ = r.server.Serve(listener) }()
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	var dialer net.Dialer
	for range visitors {
		conn, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		r.conns = append(r.conns, conn)
	}
	for range 2 { // the first answer is the signer's, the second comes out of memory
		if err := r.learn(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rival) close() {
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	_ = r.server.Close()
}

// learn reads an answer as HTTP.
func (r *rival) learn(ctx context.Context) error {
	if _, err := r.conns[0].Write(r.ask); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	var octets bytes.Buffer
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(r.conns[0], &octets)), request)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if r.body, err = io.ReadAll(response.Body); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if response.StatusCode != http.StatusOK || len(r.body) < 100 {
		return fmt.Errorf("the answer is %s with %d octets", response.Status, len(r.body))
	}
	r.header, r.size = response.Header, octets.Len()
	return nil
}

// bare is the least that can answer so.
func (r *rival) bare() http.Handler {
	header, body := r.header.Clone(), r.body
	header.Del("Date") // the server's
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		maps.Copy(w.Header(), header)
		_, _ = w.Write(body)
	})
}

// turn lets all visitors ask one thing after the other.
func (r *rival) turn(counts bool) error {
	took := make([][]time.Duration, len(r.conns))
	began := time.Now()
	var group errgroup.Group
	for i, conn := range r.conns {
		group.Go(func() (err error) { took[i], err = r.visit(conn); return err })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	elapsed := time.Since(began).Seconds()
	if all := slices.Concat(took...); counts {
		slices.Sort(all)
		r.rate = append(r.rate, float64(len(all))/elapsed)
		r.tail = append(r.tail, all[len(all)*99/100].Seconds())
	}
	return nil
}

func (r *rival) visit(conn net.Conn) ([]time.Duration, error) {
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, fmt.Errorf("setting a deadline: %w", err)
	}
	took, answer := make([]time.Duration, visits), make([]byte, r.size)
	for i := range took {
		began := time.Now()
		if _, err := conn.Write(r.ask); err != nil {
			return nil, fmt.Errorf("asking: %w", err)
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			return nil, fmt.Errorf("reading an answer: %w", err)
		}
		took[i] = time.Since(began)
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(answer, r.body) {
			return nil, fmt.Errorf("the answer is another: %q", answer[:min(len(answer), 200)])
		}
	}
	return took, nil
}
