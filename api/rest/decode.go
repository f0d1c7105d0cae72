package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

// decode reads a body of JSON and returns its SHA-256. What the contract does
// not have is refused, as are members given twice, broken UTF-8 and base64
// with anything but its alphabet: two readers of one body must not see two
// things. Nesting ends where the contract's does, since nothing unknown is
// descended into.
func decode(c echo.Context, into any) ([]byte, error) {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil || kind != echo.MIMEApplicationJSON {
		return nil, malformed(echo.HeaderContentType)
	}
	body, err := read(r)
	if err != nil {
		return nil, err
	}
	if err := parse(body, into); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return sum[:], nil
}

// read takes a body whole. Its route has bounded it.
func read(r *http.Request) ([]byte, error) {
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := io.Copy(&body, r.Body); err != nil {
		return nil, unreadable(err)
	}
	return body.Bytes(), nil
}

// unreadable is a body that does not arrive as it should. How much is too much
// its route says.
func unreadable(err error) error {
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return err
	}
	return fmt.Errorf("%w: reading a body: %w", malformed(""), err)
}

// parse is decode without the transport. The refusal names the place, never
// the value.
func parse(body []byte, into any) error {
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	var (
		semantic  *json.SemanticError
		syntactic *jsontext.SyntacticError
	)
	switch {
	case err == nil:
		if at := blank(reflect.ValueOf(into), ""); at != "" {
			return malformed(at)
		}
		return nil
	case errors.As(err, &semantic):
		return malformed(string(semantic.JSONPointer))
	case errors.As(err, &syntactic):
		return malformed(string(syntactic.JSONPointer))
	}
	return malformed("")
}

// blank is the place of an optional text that is there and empty: in the contract
// it says something, or is left out.
func blank(v reflect.Value, at string) string {
	switch v.Kind() { //nolint:exhaustive // others hold none
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		if v.Elem().Kind() == reflect.String && v.Elem().Len() == 0 {
			return at
		}
		return blank(v.Elem(), at)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return ""
		}
		for i := range v.Len() {
			if place := blank(v.Index(i), fmt.Sprint(at, "/", i)); place != "" {
				return place
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if place := blank(v.Field(i), at+"/"+name); name != "" && place != "" {
				return place
			}
		}
	}
	return ""
}

// maxPlace bounds what of a client's own member names comes back to it.
const maxPlace = 100

// malformed refuses a member, named by its JSON pointer, or a header.
func malformed(place string) *policies.Refusal {
	place = strings.ToValidUTF8(place[:min(len(place), maxPlace)], "")
	if place == "" {
		return policies.Refuse(policies.RequestMalformed)
	}
	return policies.Refuse(policies.RequestMalformed, "field", place)
}

// printable is whether an id or a key is short ASCII: what a database and a
// log hold without surprises.
func printable(s string) bool {
	return s != "" && len(s) <= 255 && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// attachment names a download (RFC 6266, section 4.3, and appendix D): once for
// those who read no more than ASCII, once whole.
func attachment(name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%/`, r) {
			return '_'
		}
		return r
	}, name)
	whole := strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	return `attachment; filename="` + ascii + `"; filename*=UTF-8''` + whole
}
