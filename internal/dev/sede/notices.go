package sede

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// NoticeURL is the address at which the sede is told of what becomes of its
// requests.
func NoticeURL(self string) string { return self + "/avisos" }

// notice is a webhook as it came. Of one that does not verify nothing is believed:
// it is shown as what it is.
type notice struct {
	At      time.Time
	Event   event
	Problem string // why it is not the service's; empty if it is
	Key     string
	Times   int  // it came with the same id
	Known   bool // the sede has the request, under the id that the service gave it
}

type event struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	RequestID string `json:"request_id"`
	State     string `json:"state"`
	Sequence  int    `json:"sequence"`

	EnvelopeID string `json:"envelope_id"` // in the place of RequestID
}

// notices are the last ones, the newest first.
type notices struct {
	config Config
	http   *http.Client

	mu   sync.Mutex
	last []notice
}

// remembered is how many are kept.
const remembered = 50

// receive verifies before it answers: what is not the service's is refused.
func (n *notices) receive(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, key, err := n.verify(r, at)
	var e event
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil {
		n.add(notice{At: at, Problem: err.Error()})
		http.Error(w, "No es un aviso del servicio de firma.", http.StatusBadRequest)
		return
	}
	n.add(notice{At: at, Event: e, Key: key})
	w.WriteHeader(http.StatusNoContent)
}

func (n *notices) add(one notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	one.Times = 1
	if i := slices.IndexFunc(n.last, func(o notice) bool { return one.Problem == "" && o.Event.ID == one.Event.ID }); i >= 0 {
		n.last[i].Times++ // the same event may arrive twice
		return
	}
	n.last = slices.Insert(n.last, 0, one)[:min(len(n.last)+1, remembered)]
}

func (n *notices) latest() []notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.last)
}

// The shape of the two header fields (RFC 9421, section 4).
var (
	inputShape = regexp.MustCompile(`^rubrica=(\(("[^()]*")\)((?:;[a-z]+=(?:"[^"]*"|\d+))*))$`)
	valueShape = regexp.MustCompile(`^rubrica=:([A-Za-z0-9+/]{86}==):$`)
	parameter  = regexp.MustCompile(`;([a-z]+)="?([^";]*)"?`)
)

// verify does what docs/webhooks.md asks of a receiver, and names the key.
func (n *notices) verify(r *http.Request, now time.Time) (body []byte, kid string, err error) {
	if body, err = io.ReadAll(io.LimitReader(r.Body, 64<<10)); err != nil {
		return nil, "", fmt.Errorf("reading a call: %w", err)
	}
	input := inputShape.FindStringSubmatch(r.Header.Get("Signature-Input"))
	value := valueShape.FindStringSubmatch(r.Header.Get("Signature"))
	if input == nil || value == nil {
		return nil, "", errors.New("no está firmado")
	}
	stated := map[string]string{}
	for _, p := range parameter.FindAllStringSubmatch(input[3], -1) {
		stated[p[1]] = p[2]
	}
	base, err := n.base(r, strings.Split(input[2], " "), len(body))
	if err != nil {
		return nil, "", err
	}
	key, err := n.key(r.Context(), stated["keyid"])
	if err != nil {
		return nil, "", err
	}
	signature, err := base64.StdEncoding.DecodeString(value[1])
	hash := sha256.Sum256([]byte(base + `"@signature-params": ` + input[1]))
	if err != nil || stated["tag"] != "rubrica-webhook" ||
		!ecdsa.Verify(key, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, "", errors.New("la firma no es correcta")
	}
	digest := sha256.Sum256(body)
	if r.Header.Get("Content-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":" {
		return nil, "", errors.New("el contenido no es el firmado")
	}
	return body, stated["keyid"], timely(stated, now)
}

// base is what was signed, but for its last line (RFC 9421, section 2.5). The
// address is the one that was registered, whatever the call says.
func (n *notices) base(r *http.Request, names []string, size int) (string, error) {
	own := map[string]string{"@method": r.Method, "@target-uri": NoticeURL(n.config.Self), "content-length": strconv.Itoa(size)}
	var base strings.Builder
	covered := map[string]bool{}
	for _, name := range names {
		name = strings.Trim(name, `"`)
		component, is := own[name]
		if !is {
			component = r.Header.Get(name)
		}
		fmt.Fprintf(&base, "%q: %s\n", name, component)
		covered[name] = true
	}
	for _, name := range []string{"@method", "@target-uri", "content-type", "content-digest"} {
		if !covered[name] {
			return "", errors.New("la firma no cubre " + name)
		}
	}
	return base.String(), nil
}

func timely(stated map[string]string, now time.Time) error {
	created, err := strconv.ParseInt(stated["created"], 10, 64)
	expires, endErr := strconv.ParseInt(stated["expires"], 10, 64)
	if err != nil || endErr != nil || created > now.Add(time.Minute).Unix() || expires < now.Add(-time.Minute).Unix() {
		return errors.New("la firma es de otro momento")
	}
	return nil
}

// key fetches the published key. A demonstration asks each time; who is told often
// keeps the set for five minutes.
func (n *notices) key(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.config.Service+"/.well-known/webhook-keys", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	response, err := n.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var set struct {
		Keys []struct{ Kid, Crv, X, Y string }
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&set); err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	for _, k := range set.Keys {
		x, xErr := base64.RawURLEncoding.DecodeString(k.X)
		y, yErr := base64.RawURLEncoding.DecodeString(k.Y)
		if k.Kid != kid || k.Crv != "P-256" || xErr != nil || yErr != nil {
			continue
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		return key, nil
	}
	return nil, errors.New("la clave no está publicada")
}
