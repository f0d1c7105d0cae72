package validation

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

const (
	ocspRequest  = "application/ocsp-request"
	ocspResponse = "application/ocsp-response"
)

// OCSPResponseStatus of the answers that are made here. They carry no
// signature (RFC 6960, section 2.3).
const (
	malformedRequest = 1
	tryLater         = 3
)

// answer is an OCSP response as it is sent.
type answer struct {
	der    []byte
	serial string
	// renew is from when on the signer is asked again, and ends when the answer
	// is good for nothing any more.
	renew, ends time.Time
	tag         string
	// posted and got are the headers of an answer to POST and to GET, shared by
	// all who get it: no value is ever changed in place.
	posted, got http.Header
}

func (a *answer) size() int { return len(a.der) }

// failed is an answer that has nothing but a status.
func failed(status byte) *answer {
	a := &answer{der: []byte{0x30, 3, 0x0a, 1, status}}
	a.posted = header(ocspResponse, len(a.der))
	a.got = a.posted
	return a
}

// newAnswer prepares what the signer answered when it was asked.
func newAnswer(from ocsp.Answer, asked time.Time) *answer {
	a := &answer{der: from.DER, serial: from.Serial, posted: header(ocspResponse, len(from.DER))}
	a.got = a.posted
	if !from.Cacheable {
		return a
	}
	life := from.NextUpdate.Sub(from.ThisUpdate)
	// The span from when it was asked is measured by a clock that nobody sets.
	a.renew, a.ends = earlier(from.ThisUpdate.Add(life/2), asked.Add(life/2)), earlier(from.NextUpdate, asked.Add(life))
	a.tag = tag(from.DER)
	a.got = a.posted.Clone()
	// RFC 5019, section 6.2, but for its hope that a cache answers for the
	// service: one that does not ask would hide a revocation. It may keep the
	// answer and ask whether it still holds.
	a.got["Cache-Control"] = []string{"max-age=0, public, no-transform, must-revalidate"}
	a.got["Last-Modified"] = []string{from.ThisUpdate.UTC().Format(http.TimeFormat)}
	a.got["Expires"] = a.got["Last-Modified"]
	a.got["Etag"] = []string{a.tag}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// header is what goes with public octets.
func header(mediaType string, length int) http.Header {
	return http.Header{
		"Content-Type":                 {mediaType},
		"Content-Length":               {strconv.Itoa(length)},
		"Cross-Origin-Resource-Policy": {"cross-origin"},
	}
}

// tag is a strong entity tag.
func tag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// holds is whether a client has just this (RFC 9110, section 13.1.2).
func holds(r *http.Request, tag string) bool {
	for _, line := range r.Header["If-None-Match"] {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); tag != "" && (one == tag || one == "*") {
				return true
			}
		}
	}
	return false
}

// send copies prepared headers and writes. The lines of a header are shared
// between requests; whoever sets one puts another slice in its place.
func send(c echo.Context, h http.Header, content []byte) error {
	response := c.Response()
	maps.Copy(response.Header(), h)
	response.WriteHeader(http.StatusOK)
	_, err := response.Write(content)
	return err
}
