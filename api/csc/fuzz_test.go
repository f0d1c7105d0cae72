package csc

import (
	"bytes"
	"encoding/json"
	"net/url"
	"testing"
)

// Whatever a body holds, every decoder ends with a value or with a fault, and no
// other: nothing of it reaches a database or a log as it is.
func FuzzDecoders(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"a":1,"a":2}`, `{"lang":"es"}`, `{"credentialID":"k","certificates":"chain","certInfo":true,"authInfo":null}`,
		`{"hashes":["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="],"hashAlgorithmOID":"2.16.840.1.101.3.4.2.1","signAlgo":"1.2.840.113549.1.1.1"}`,
		`{"hash":["!"],"numSignatures":1e400,"signAlgo":"1.2.840.113549.1.1.10","signAlgoParams":"MAA="}`,
		`{"operationMode":"A","validity_period":-1,"response_uri":"https://a/"}`,
		`{"documentDigests":[{"hashes":["AA=="],"signAlgo":"1.2.840.113549.1.1.11","signature_format":"C","conformance_level":"Ades-LT"}]}`,
		`{"documents":[{"document":"AA==","signAlgo":"1.2.840.10045.4.3.2","signature_format":"P","signed_props":[{"attribute_name":"Reason","attribute_value":"QQ=="}]}]}`,
		`{"requestID":"A.H.1.2"}`, `{"nonce":"ff"}`, `{"credentialCreationRequest":{"certificatePolicy":"1.2"}}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	d := &Door{}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parse(body)
		if err != nil {
			faulty(t, err)
			return
		}
		if len(body) > 0 && !json.Valid(body) {
			t.Fatalf("%q was taken for an object", body)
		}
		for _, v := range []version{1, 2} {
			c := call{version: v, body: o}
			_, err := d.wishes(c)
			faulty(t, err)
			_, err = whose(c)
			faulty(t, err)
			hashes, err := o.hashes(v.hashesName(), "hash")
			faulty(t, err)
			faulty(t, c.lengths(hashes))
			faulty(t, c.numSignatures())
			_, err = o.manner(v.words())
			faulty(t, err)
			_, err = c.mode()
			faulty(t, err)
			items, _, err := c.items()
			faulty(t, err)
			for _, it := range items {
				if size, known := digestOf(it.how.hash); err == nil && (!known || len(it.hash) != size.Size()) {
					t.Fatalf("a hash of %d octets for %s", len(it.hash), it.how.hash)
				}
			}
		}
		if n := nonce(o); n != nil && n.Sign() < 0 {
			t.Fatalf("nonce %v", n)
		}
	})
}

// faulty wants a fault, or nothing.
func faulty(t *testing.T, err error) {
	t.Helper()
	if _, ok := err.(*fault); err != nil && !ok { //nolint:errorlint // nothing may be wrapped around it
		t.Fatalf("got %v, want a fault", err)
	}
}

// What a ticket says is what is read of it again.
func FuzzTicket(f *testing.F) {
	for _, seed := range []string{"A.H.1", "A.C.1.2.3", "A.C.1795000000.2CB-LT.1PB-T", "", ".H.1", "A.H.01", "A.H.1.1", "A.X.1", "A.H.-1", "A.H.99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		read, ok := parseTicket(s)
		if !ok {
			return
		}
		again, ok := parseTicket(read.String())
		if !ok || again.String() != read.String() {
			t.Fatalf("%q became %q", s, again.String())
		}
	})
}

// An authorisation request keeps what is not this interface's, and no more than
// one statement of what is to be signed.
func FuzzTranslation(f *testing.F) {
	for _, seed := range []string{
		"scope=credential&credentialID=k&hash=-_-_&numSignatures=1", "scope=service", "scope=credential&request_uri=urn:x", "scope=credential&hashes=,,!",
		"scope=service+credential&authorization_details=[]", "scope=credential&numSignatures=x&state=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		in, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		for _, v := range []version{1, 2} {
			out := v.translated(in)
			if got, want := out.Get("state"), in.Get("state"); got != want {
				t.Fatalf("state %q became %q", want, got)
			}
			if out.Has("hash") || out.Has("hashes") || out.Has("account_token") || len(out["authorization_details"]) > max(1, len(in["authorization_details"])) {
				t.Fatalf("%q became %q", query, out.Encode())
			}
			if text := out.Get("authorization_details"); !in.Has("authorization_details") && text != "" && !bytes.HasPrefix([]byte(text), []byte(`[{"`)) {
				t.Fatalf("details %q", text)
			}
		}
	})
}
