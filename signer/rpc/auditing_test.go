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
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
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

// counter takes any act.
type counter struct{ rpc.Register }

func (counter) Perform(context.Context, citizen.Act) (citizen.Receipt, error) {
	return citizen.Receipt{}, nil
}

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
		AuditLog: log, Validation: desk{}, Register: counter{}, Ready: func(context.Context) error { return nil }, Logger: config.Logger,
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
	return audit.Entry{Type: audit.AuditQueried, Operation: "AUDITOR1", Person: "12345678Z", Payload: map[string]any{
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
	for _, kind := range slices.Concat(audit.OfficerEvents(), audit.DeskEvents(), audit.CertificateDoorEvents()) {
		admitted[kind] = true
	}
	for _, kind := range audit.EventTypes() {
		e := question()
		e.Type = kind
		if _, err := client.RecordAudit(t.Context(), e); (err == nil) != admitted[kind] {
			t.Errorf("%s: got %v, want it admitted: %v", kind, err, admitted[kind])
		}
	}
	nobody := question()
	nobody.Person = "12345678A"
	if _, err := client.RecordAudit(t.Context(), nobody); !errors.Is(err, policies.Refuse(policies.RequestMalformed)) {
		t.Errorf("about nobody: got %v, want it refused", err)
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

// TestWhoMayRecord calls all ways as one peer, another, all, none.
func TestWhoMayRecord(t *testing.T) {
	t.Parallel()
	own, other, group := strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Geteuid()+1), strconv.Itoa(os.Getegid())
	for name, test := range map[string]struct {
		peers, auditors, registrars []string
		want                        peer
	}{
		"nobody is named":      {nil, nil, nil, peer{calls: true, audits: true, registers: true}},
		"the public side":      {[]string{own}, nil, nil, peer{calls: true}},
		"named apart":          {[]string{own}, []string{other}, []string{other}, peer{calls: true}},
		"the auditors' door":   {[]string{other}, []string{own}, []string{other}, peer{audits: true}},
		"the registrar":        {[]string{other}, []string{other}, []string{own}, peer{registers: true}},
		"all at once":          {[]string{own}, []string{own}, []string{own}, peer{calls: true, audits: true, registers: true}},
		"the signer's user":    {nil, []string{other}, nil, peer{calls: true}},
		"beside the registrar": {nil, nil, []string{other}, peer{calls: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := filepath.Join(t.TempDir(), "s")
			_, _ = serveLog(t, rpc.ListenConfig{Socket: socket, Peers: test.peers, AuditPeers: test.auditors, RegistrarPeers: test.registrars, Group: group})
			test.want.judge(t, dial(t, rpc.DialConfig{Socket: socket}))
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
		names []string
		want  peer
	}{
		"the public side":    {[]string{"api"}, peer{calls: true}},
		"the auditors' door": {[]string{"auditor"}, peer{audits: true}},
		"the registrar":      {[]string{"registrar"}, peer{registers: true}},
		"all at once":        {[]string{"api", "auditor", "registrar"}, peer{calls: true, audits: true, registers: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := serveLog(t, rpc.ListenConfig{
				Address: "127.0.0.1:0", TLS: here, ClientNames: []string{"api"}, AuditNames: []string{"auditor"}, RegistrarNames: []string{"registrar"},
			})
			there := newFiles(t)
			ours.certify(t, there, leaf{names: test.names, usage: x509.ExtKeyUsageClientAuth})
			ours.trust(t, there)
			test.want.judge(t, dial(t, rpc.DialConfig{URL: overTLS(t, address), TLS: there}))
		})
	}
}

// peer is what somebody should be able to do.
type peer struct{ calls, audits, registers bool }

// judge calls as a peer. All may ask how the signer is.
func (p peer) judge(t *testing.T, client *rpc.Client) {
	t.Helper()
	if err := client.Healthy(t.Context()); err != nil {
		t.Errorf("asking for health: got %v, want an answer", err)
	}
	for kind, may := range map[audit.EventType]bool{audit.AuditQueried: p.audits, audit.OfficerLoggedIn: p.registers, audit.DeskLookedUp: p.registers} {
		e := question()
		e.Type = kind
		if _, err := client.RecordAudit(t.Context(), e); (err == nil) != may {
			t.Errorf("recording %s: got %v, want it done: %v", kind, err, may)
		}
	}
	if _, err := client.Perform(t.Context(), citizen.Act{}); (err == nil) != (p.calls || p.registers) {
		t.Errorf("bringing an act: got %v, want it taken: %v", err, p.calls || p.registers)
	}
	if _, err := client.TimeStamp(t.Context(), nil); (err == nil) != p.calls {
		t.Errorf("calling: got %v, want an answer: %v", err, p.calls)
	}
}
