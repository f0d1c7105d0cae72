package webhooks_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/signer"
)

// What docs/webhooks.md shows, word for word.

// verify returns the body of a call if it is Rúbrica's. address is the one that
// was registered; keys are those of /.well-known/webhook-keys, by their kid.
func verify(r *http.Request, address string, keys map[string]*ecdsa.PublicKey, now time.Time) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	input := regexp.MustCompile(`^rubrica=(\(("[^()]*")\)((?:;[a-z]+=(?:"[^"]*"|\d+))*))$`).FindStringSubmatch(r.Header.Get("Signature-Input"))
	value := regexp.MustCompile(`^rubrica=:([A-Za-z0-9+/=]+):$`).FindStringSubmatch(r.Header.Get("Signature"))
	if input == nil || value == nil {
		return nil, errors.New("it is not signed")
	}
	parameters := map[string]string{}
	for _, p := range regexp.MustCompile(`;([a-z]+)="?([^";]*)"?`).FindAllStringSubmatch(input[3], -1) {
		parameters[p[1]] = p[2]
	}
	base, covered := "", map[string]bool{}
	for name := range strings.SplitSeq(input[2], " ") {
		name = strings.Trim(name, `"`)
		component := map[string]string{"@method": r.Method, "@target-uri": address, "content-length": fmt.Sprint(len(body))}[name]
		if component == "" {
			component = r.Header.Get(name)
		}
		base += fmt.Sprintf("%q: %s\n", name, component)
		covered[name] = true
	}
	base += `"@signature-params": ` + input[1]
	for _, name := range []string{"@method", "@target-uri", "content-type", "content-digest"} {
		if !covered[name] {
			return nil, fmt.Errorf("the signature does not cover %s", name)
		}
	}
	key := keys[parameters["keyid"]]
	if key == nil || parameters["tag"] != "rubrica-webhook" {
		return nil, errors.New("the key is not published, or the signature is for something else")
	}
	signature, _ := base64.StdEncoding.DecodeString(value[1])
	hash := sha256.Sum256([]byte(base))
	if len(signature) != 64 || !ecdsa.Verify(key, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, errors.New("the signature is wrong")
	}
	created, _ := strconv.ParseInt(parameters["created"], 10, 64)
	expires, _ := strconv.ParseInt(parameters["expires"], 10, 64)
	if t := now.Unix(); created > t+60 || expires < t-60 {
		return nil, errors.New("the signature is of another time")
	}
	digest := sha256.Sum256(body)
	if r.Header.Get("Content-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":" {
		return nil, errors.New("the body is another one")
	}
	return body, nil
}

// readKeys reads the set of keys.
func readKeys(set io.Reader) (map[string]*ecdsa.PublicKey, error) {
	var jwks struct {
		Keys []struct{ Kid, Crv, X, Y string }
	}
	if err := json.NewDecoder(set).Decode(&jwks); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range jwks.Keys {
		x, _ := base64.RawURLEncoding.DecodeString(k.X)
		y, _ := base64.RawURLEncoding.DecodeString(k.Y)
		if k.Crv != "P-256" || len(x) != 32 || len(y) != 32 {
			continue
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, err
		}
		keys[k.Kid] = key
	}
	return keys, nil
}

// End of what the document shows.

// document is docs/webhooks.md; block is one of its examples.
func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func block(t *testing.T, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(document(t), "```"+language+"\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("the document has no example in %s", language)
	}
	return code
}

// The Go example is the function that these tests run.
func TestDocumentShowsReceiver(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("receiver_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(own), "// What docs/webhooks.md shows, word for word.\n\n")
	want, _, found := strings.Cut(rest, "\n// End of what the document shows.")
	if got := block(t, "go"); !found || got != want {
		t.Errorf("the example in Go is not what is tested: got\n%s\nwant\n%s", got, want)
	}
}

// mailbox is a store with one delivery.
type mailbox struct{ signer.WebhookDelivery }

func (m *mailbox) Callable(context.Context, []signer.WebhookCall) ([]signer.WebhookDelivery, error) {
	return []signer.WebhookDelivery{m.WebhookDelivery}, nil
}

func (m *mailbox) Called(_ context.Context, all []signer.WebhookDelivery) error {
	m.WebhookDelivery = all[0]
	return nil
}

// captured is a call as it arrived.
type captured struct {
	method, address string
	head            http.Header
	body            []byte
}

// capture has a delivery made, and gives what arrived.
func capture(t *testing.T, keys *webhooks.Keys) captured {
	t.Helper()
	var got captured
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		got = captured{method: q.Method, head: q.Header, body: body}
	}))
	t.Cleanup(r.Close)
	now := time.Now()
	m := &mailbox{signer.WebhookDelivery{
		ID: "d", Round: 1, State: signer.WebhookWaiting, BeganAt: now,
		Webhook: signer.Webhook{ID: "w", URL: r.URL + "/avisos?de=firma%20e"},
		Event:   signer.Event{ID: "e", Type: signer.EventSigned, RequestID: "r", State: signer.Signed, Sequence: 1, CreatedAt: now},
	}}
	d := webhooks.New(webhooks.Config{Store: m, Keys: keys, Networks: webhooks.NewNetworks(true), Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if again, err := d.Deliver(t.Context(), signer.WebhookCall{DeliveryID: "d", ApplicationID: "a", Round: 1}); again != 0 || err != nil {
		t.Fatalf("delivering: %v %v", again, err)
	}
	if m.State != signer.WebhookDelivered {
		t.Fatalf("got %+v, want it delivered", m.WebhookDelivery)
	}
	got.address = m.Webhook.URL
	return got
}

// forgeries are what must not be believed, each with one thing changed.
func forgeries(c captured) map[string]captured {
	other := func(change func(*captured)) captured {
		f := c
		f.head = c.head.Clone()
		f.body = bytes.Clone(c.body)
		change(&f)
		return f
	}
	swap := func(name, from, to string) captured {
		return other(func(f *captured) { f.head.Set(name, strings.Replace(f.head.Get(name), from, to, 1)) })
	}
	return map[string]captured{
		"body":       other(func(f *captured) { f.body = bytes.Replace(f.body, []byte(`"signed"`), []byte(`"pended"`), 1) }),
		"digest":     swap("Content-Digest", "sha-256=:", "sha-256=:A"),
		"method":     other(func(f *captured) { f.method = http.MethodPut }),
		"address":    other(func(f *captured) { f.address += "x" }),
		"type":       swap("Content-Type", "json", "xml"),
		"time":       swap("Signature-Input", "created=1", "created=2"),
		"end":        swap("Signature-Input", "expires=1", "expires=9"),
		"tag":        swap("Signature-Input", "rubrica-webhook", "something-else"),
		"less":       swap("Signature-Input", ` "content-digest"`, ""),
		"key":        swap("Signature-Input", `keyid="`, `keyid="x`),
		"signature":  swap("Signature", "=:", "=:A"),
		"none":       other(func(f *captured) { f.head.Del("Signature") }),
		"no input":   other(func(f *captured) { f.head.Del("Signature-Input") }),
		"other name": swap("Signature", "rubrica", "rubrico"),
	}
}

func TestGoReceiver(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	set, err := keys.Set()
	if err != nil {
		t.Fatal(err)
	}
	known, err := readKeys(bytes.NewReader(set))
	if err != nil || len(known) != 1 {
		t.Fatalf("got %v %v, want one key", known, err)
	}
	check := func(c captured, at time.Time) error {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.address, bytes.NewReader(c.body))
		r.Header = c.head
		_, err := verify(r, c.address, known, at)
		return err
	}
	c := capture(t, keys)
	if err := check(c, time.Now()); err != nil {
		t.Errorf("a call: got %v, want it believed (%v)", err, c.head)
	}
	for name, f := range forgeries(c) {
		if err := check(f, time.Now()); err == nil {
			t.Errorf("another %s: got nothing, want an error", name)
		}
	}
	for _, at := range []time.Time{time.Now().Add(-2 * time.Minute), time.Now().Add(7 * time.Minute)} {
		if err := check(c, at); err == nil {
			t.Errorf("at %v: got nothing, want an error", at)
		}
	}
	if err := check(capture(t, newKeys(t)), time.Now()); err == nil {
		t.Error("another's key: got nothing, want an error")
	}
}

// The example in Python is run as it stands in the document.
func TestPythonReceiver(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	set, err := keys.Set()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"verify.py": block(t, "python"), "keys.json": string(set)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(c captured) (string, error) {
		var request bytes.Buffer
		fmt.Fprintf(&request, "%s /avisos HTTP/1.1\r\n", c.method)
		_ = c.head.Write(&request)
		request.WriteString("\r\n")
		request.Write(c.body)
		cmd := exec.CommandContext(t.Context(), "python3", "verify.py", "keys.json", c.address)
		cmd.Dir, cmd.Stdin = dir, &request
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	c := capture(t, keys)
	if out, err := run(c); err != nil || !strings.Contains(out, `signature_request.signed`) {
		t.Errorf("a call: got %v %s, want it believed", err, out)
	}
	all := forgeries(c)
	for _, name := range []string{"body", "address", "less", "signature", "key", "none"} { // each starts a process
		if out, err := run(all[name]); err == nil {
			t.Errorf("another %s: got %s, want an error", name, out)
		}
	}
}
