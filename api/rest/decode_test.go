package rest

import (
	"encoding/json/v2"
	"errors"
	"mime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/policies"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"signer":{"identifier":"12345678Z"},"title":"t","return_url":"https://a/","documents":[{"name":"a","media_type":"text/plain","format":"pades","content":"aG9sYQ=="}]}`,
		`{"locale":"es"}`, `{"locale":null}`, `{"documents":[{}]}`, `{"title":"a","title":"b"}`, `{"x":1}`, `null`, `[]`, ``, "{\"title\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var first, second NewSignatureRequest
		if err := parse(body, &first); err != nil {
			var refusal *policies.Refusal
			if !errors.As(err, &refusal) || refusal.Code != policies.RequestMalformed || len(refusal.Params["field"]) > maxPlace {
				t.Errorf("parse(%q): got %v, want request_malformed", body, err)
			}
			return
		}
		encoded, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("encoding what parse(%q) read: %v", body, err)
		}
		if err := parse(encoded, &second); err != nil {
			t.Fatalf("parse(%q) reads as %q, which gives %v", body, encoded, err)
		}
		again, err := json.Marshal(second)
		if err != nil || string(again) != string(encoded) {
			t.Errorf("parse(%q) reads as %q, then as %q, %v", body, encoded, again, err)
		}
	})
}

func TestAttachment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(1, 40, 200).Draw(t, "name")
		header := attachment(name)
		if strings.ContainsAny(header, "\r\n\x00") {
			t.Fatalf("attachment(%q): got %q, which would break the header", name, header)
		}
		// Go's reader takes filename* where both stand, as RFC 6266 wants.
		kind, params, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" {
			t.Fatalf("attachment(%q): got %q: %v", name, header, err)
		}
		if diff := cmp.Diff(name, params["filename"]); diff != "" {
			t.Fatalf("attachment(%q) (-want +got):\n%s", name, diff)
		}
	})
}
