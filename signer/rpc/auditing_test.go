package rpc_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// keeper is a log that keeps what it is told.
type keeper struct{ entries []audit.Entry }

func (k *keeper) RecordAudit(_ context.Context, e audit.Entry) (int64, error) {
	k.entries = append(k.entries, e)
	return int64(len(k.entries)) + 41, nil
}

// desk answers whoever gets to it.
type desk struct{ rpc.Validation }

func (desk) TimeStamp(context.Context, []byte) ([]byte, error) { return []byte("granted"), nil }

// serveLog serves a log where config says.
func serveLog(t *testing.T, config rpc.ListenConfig) (*keeper, string) {
	t.Helper()
	config.Logger = slog.New(slog.DiscardHandler)
	listener, err := rpc.Listen(t.Context(), config)
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	log := &keeper{}
	server := rpc.NewServer(rpc.Handler(rpc.Services{
		AuditLog: log, Validation: desk{}, Ready: func(context.Context) error { return nil }, Logger: config.Logger,
	}), config.Logger)
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving: %v", err)
		}
	})
	return log, listener.Addr().String()
}

func question() audit.Entry {
	return audit.Entry{Type: audit.AuditQueried, Operation: "AUDITOR1", Payload: map[string]any{
		"purpose": "Petición del juzgado", "question": map[string]any{"entry": 9007199254740991},
	}}
}

func TestRecordAudit(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	log, _ := serveLog(t, rpc.ListenConfig{Socket: socket})
	seq, err := dial(t, rpc.DialConfig{Socket: socket}).RecordAudit(t.Context(), question())
	if err != nil || seq != 42 {
		t.Fatalf("got %d and %v, want 42", seq, err)
	}
	want := question()
	want.Payload["question"] = map[string]any{"entry": json.Number("9007199254740991")}
	if diff := cmp.Diff([]audit.Entry{want}, log.entries); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// TestRecordAuditRefuses asks for entries that are not for this door to write.
func TestRecordAuditRefuses(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	log, _ := serveLog(t, rpc.ListenConfig{Socket: socket})
	client := dial(t, rpc.DialConfig{Socket: socket})
	admitted := map[audit.EventType]bool{
		audit.AuditQueried: true, audit.AuditExported: true,
		audit.AuditorLoggedIn: true, audit.AuditorLoginFailed: true, audit.AuditorEnrolled: true, audit.AuditorInvited: true, audit.AuditorDisabled: true,
	}
	for _, kind := range audit.EventTypes() {
		e := question()
		e.Type = kind
		if _, err := client.RecordAudit(t.Context(), e); (err == nil) != admitted[kind] {
			t.Errorf("%s: got %v, want it admitted: %v", kind, err, admitted[kind])
		}
	}
	long := question()
	long.Payload["purpose"] = strings.Repeat("x", 17<<10)
	if _, err := client.RecordAudit(t.Context(), long); !errors.Is(err, policies.Refuse(policies.RequestMalformed)) {
		t.Errorf("a payload of 17 KiB: got %v, want it refused", err)
	}
	if got := len(log.entries); got != len(admitted) {
		t.Errorf("got %d entries, want %d", got, len(admitted))
	}
}

// TestWhoMayRecord calls both ways as the one peer, the other, both, none.
func TestWhoMayRecord(t *testing.T) {
	t.Parallel()
	own, other, group := strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Geteuid()+1), strconv.Itoa(os.Getegid())
	for name, test := range map[string]struct {
		peers, auditors []string
		calls, records  bool
	}{
		"nobody is named":    {nil, nil, true, true},
		"the public side":    {[]string{own}, nil, true, false},
		"named apart":        {[]string{own}, []string{other}, true, false},
		"the auditors' door": {[]string{other}, []string{own}, false, true},
		"both at once":       {[]string{own}, []string{own}, true, true},
		"the signer's user":  {nil, []string{other}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := filepath.Join(t.TempDir(), "s")
			_, _ = serveLog(t, rpc.ListenConfig{Socket: socket, Peers: test.peers, AuditPeers: test.auditors, Group: group})
			judge(t, dial(t, rpc.DialConfig{Socket: socket}), test.calls, test.records)
		})
	}
}

func TestWhoMayRecordOverTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	here := newFiles(t)
	ours.certify(t, here, leaf{names: []string{"localhost"}, usage: x509.ExtKeyUsageServerAuth})
	ours.trust(t, here)
	for name, test := range map[string]struct {
		names          []string
		calls, records bool
	}{
		"the public side":    {[]string{"api"}, true, false},
		"the auditors' door": {[]string{"auditor"}, false, true},
		"both at once":       {[]string{"api", "auditor"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := serveLog(t, rpc.ListenConfig{
				Address: "127.0.0.1:0", TLS: here, ClientNames: []string{"api"}, AuditNames: []string{"auditor"},
			})
			there := newFiles(t)
			ours.certify(t, there, leaf{names: test.names, usage: x509.ExtKeyUsageClientAuth})
			ours.trust(t, there)
			judge(t, dial(t, rpc.DialConfig{URL: overTLS(t, address), TLS: there}), test.calls, test.records)
		})
	}
}

// judge calls as a peer. All may ask how the signer is.
func judge(t *testing.T, client *rpc.Client, calls, records bool) {
	t.Helper()
	if err := client.Healthy(t.Context()); err != nil {
		t.Errorf("asking for health: got %v, want an answer", err)
	}
	if _, err := client.RecordAudit(t.Context(), question()); (err == nil) != records {
		t.Errorf("recording: got %v, want it done: %v", err, records)
	}
	if _, err := client.TimeStamp(t.Context(), nil); (err == nil) != calls {
		t.Errorf("calling: got %v, want an answer: %v", err, calls)
	}
}
