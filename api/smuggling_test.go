package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
)

// socket is a running site on whose connections tests write what no client would.
type socket struct {
	address string
	hidden  atomic.Int64 // requests that came within another
}

func newSocket(t *testing.T) *socket {
	t.Helper()
	s := &socket{}
	h := build(t, func(c *api.Config) {
		c.Rooms = []func(*api.Site){func(site *api.Site) {
			v1 := site.Door("/v1/")
			v1.POST("/v1/echo", func(c echo.Context) error {
				body, err := io.ReadAll(c.Request().Body)
				if err != nil {
					return errors.Join(policies.Refuse(policies.RequestMalformed), err)
				}
				return c.Blob(http.StatusOK, "text/plain", body)
			}, site.Accept(1<<20))
			v1.GET("/v1/hidden", func(c echo.Context) error {
				s.hidden.Add(1)
				return c.NoContent(http.StatusNoContent)
			})
		}}
	})
	server := httptest.NewUnstartedServer(nil)
	server.Config = api.Server(h.handler, "")
	server.Start()
	t.Cleanup(server.Close)
	s.address = server.Listener.Addr().String()
	return s
}

// say writes to a connection of its own and reads all answers.
func (s *socket) say(t *testing.T, words string) (statuses []int, bodies []string) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		_, _ = io.WriteString(conn, words) // a server that has heard enough closes
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}()
	in := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, bodies
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return statuses, bodies
		}
		statuses, bodies = append(statuses, response.StatusCode), append(bodies, string(body))
	}
}

// A request whose end two readers could see at two places is refused, or ends its
// connection: what comes behind it is nobody's request. Of others each is answered
// once.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	const (
		post    = "POST /v1/echo HTTP/1.1\r\nHost: x\r\n"
		behind  = "GET /v1/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
		chunked = "5\r\nhello\r\n0\r\n\r\n"
	)
	var (
		refused    = []int{400}
		unknown    = []int{501}
		alone      = []int{200}      // the connection ends
		both       = []int{200, 204} // two requests, as they stand there
		foolish    = []int{200, 400} // what is behind is no request
		hiddenOnce = []int{204}
		nowhere    = []int{404}
	)
	for _, tt := range []struct {
		name, words string
		want        []int
	}{
		{"as it should be", post + "Content-Length: 5\r\n\r\nhello" + behind, both},
		{"chunked", post + "Transfer-Encoding: chunked\r\n\r\n" + chunked + behind, alone},
		{"both lengths", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + behind, alone},
		{"both lengths, the other way round", post + "Transfer-Encoding: chunked\r\nContent-Length: 51\r\n\r\n0\r\n\r\n" + behind, alone},
		{"two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + behind, refused},
		{"two lengths in a line", post + "Content-Length: 5, 6\r\n\r\nhello" + behind, refused},
		{"one length twice in a line", post + "Content-Length: 5, 5\r\n\r\nhello" + behind, refused},
		{"one length twice", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + behind, both},
		{"negative length", post + "Content-Length: -1\r\n\r\n" + behind, refused},
		{"length with a sign", post + "Content-Length: +5\r\n\r\nhello" + behind, refused},
		{"hexadecimal length", post + "Content-Length: 0x5\r\n\r\nhello" + behind, refused},
		{"empty length", post + "Content-Length: \r\n\r\n" + behind, refused},
		{"length beyond numbers", post + "Content-Length: 99999999999999999999\r\n\r\nhello" + behind, refused},
		{"length with a line within", post + "Content-Length: 5\r\n\t\r\n\r\nhello" + behind, both},
		{"unknown coding", post + "Transfer-Encoding: xchunked\r\n\r\n" + chunked + behind, unknown},
		{"another coding before", post + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked + behind, unknown},
		{"another coding behind", post + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunked + behind, unknown},
		{"identity", post + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello" + behind, unknown},
		{"coding twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + behind, unknown},
		{"coding and another", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked + behind, unknown},
		{"coding in quotes", post + "Transfer-Encoding: \"chunked\"\r\n\r\n" + chunked + behind, unknown},
		{"coding with a vertical tab", post + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunked + behind, refused},
		{"blank before the colon", post + "Transfer-Encoding : chunked\r\n\r\n" + chunked + behind, refused},
		{"blank before the name", "POST /v1/echo HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: x\r\n\r\n" + chunked + behind, refused},
		{"folded line", post + "X-Y: z\r\n Transfer-Encoding: chunked\r\n\r\n" + chunked + behind, foolish},
		{"folded coding", post + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunked + behind, alone},
		{"coding with HTTP/1.0", "POST /v1/echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + behind, alone},
		{"lines of LF", strings.ReplaceAll(post+"Content-Length: 5\r\n\r\n", "\r", "") + "hello" + behind, both},
		{"chunks of LF", post + "Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n" + behind, refused},
		{"lone CR in a value", post + "X-Y: a\rTransfer-Encoding: chunked\r\n\r\n" + behind, refused},
		{"NUL in a value", post + "X-Y: a\x00b\r\nContent-Length: 5\r\n\r\nhello", refused},
		{"NUL in a name", post + "X\x00Y: a\r\nContent-Length: 5\r\n\r\nhello", refused},
		{"no colon", post + "Transfer-Encoding chunked\r\n\r\n" + chunked, refused},
		{"large extension of a chunk", post + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", 100<<10) + "\r\nhello\r\n0\r\n\r\n" + behind, refused},
		{"many extensions", post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\na\r\n", 100) + "0\r\n\r\n" + behind, refused},
		{"extension with a line", post + "Transfer-Encoding: chunked\r\n\r\n5;a=\"\n\"\r\nhello\r\n0\r\n\r\n" + behind, refused},
		{"negative chunk", post + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n" + behind, refused},
		{"chunk with a prefix", post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n" + behind, refused},
		{"chunk beyond numbers", post + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n" + behind, refused},
		{"chunk longer than told", post + "Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n" + behind, refused},
		{"length in a trailer", post + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n" + behind, refused},
		{"host twice", "GET /v1/hidden HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", refused},
		{"no host", "GET /v1/hidden HTTP/1.1\r\n\r\n", refused},
		{"host with a path", "GET /v1/hidden HTTP/1.1\r\nHost: x/v1/echo?\r\n\r\n", refused},
		{"host with a blank", "GET /v1/hidden HTTP/1.1\r\nHost: x y\r\n\r\n", refused},
		{"absolute address", "GET http://evil.example/v1/hidden HTTP/1.1\r\nHost: x\r\n\r\n", hiddenOnce},
		{"address of another", "GET evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", nowhere},
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", nowhere},
		{"body of GET", "GET /v1/hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + behind, []int{204, 204}},
		{"body of GET that is a request", "GET /v1/hidden HTTP/1.1\r\nHost: x\r\nContent-Length: " + fmt.Sprint(len(behind)) + "\r\n\r\n" + behind, hiddenOnce},
		{"no version", "GET /v1/hidden\r\n\r\n", refused},
		{"another version", "GET /v1/hidden HTTP/3.1\r\nHost: x\r\n\r\n", []int{505}},
		{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + behind, nowhere},
		{"change to HTTP/2", "GET /v1/hidden HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", hiddenOnce},
		{"expectation", post + "Expect: a miracle\r\nContent-Length: 5\r\n\r\nhello" + behind, []int{417}},
		{"a header too large", post + "X-Y: " + strings.Repeat("x", 64<<10) + "\r\n\r\n" + behind, []int{431}},
	} {
		before := s.hidden.Load()
		statuses, bodies := s.say(t, tt.words)
		if !slices.Equal(statuses, tt.want) {
			t.Errorf("%s: got %v %.200q, want %v", tt.name, statuses, bodies, tt.want)
		}
		answered := int64(0)
		for _, status := range statuses {
			if status == http.StatusNoContent {
				answered++
			}
		}
		if got := s.hidden.Load() - before; got != answered {
			t.Errorf("%s: %d requests were carried out, %d answered", tt.name, got, answered)
		}
		if statuses != nil && statuses[0] == http.StatusOK && bodies[0] != "hello" && tt.want[0] == 200 && bodies[0] != "" {
			t.Errorf("%s: got the body %q", tt.name, bodies[0])
		}
	}
}
