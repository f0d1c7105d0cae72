package rpc

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"

	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1/signerv1connect"
)

// rights are what a peer may do.
type rights uint8

const (
	mayCall     rights = 1 << iota // all but AuditLog: the public side
	mayRecord                      // AuditLog, of what auditors do: the auditors' door
	mayRegister                    // acts of offices, and AuditLog of what officers do: the registrar
)

const allRights = mayCall | mayRecord | mayRegister

// needs is what a path asks for, any one of them. An act of an office proves by
// its signature whose it is: the public side carries those of offices that call
// the API.
func needs(path string) rights {
	switch path {
	case "/healthz":
		return allRights
	case signerv1connect.AuditLogRecordAuditProcedure:
		return mayRecord | mayRegister
	case signerv1connect.CitizenRegisterPerformProcedure:
		return mayCall | mayRegister
	}
	return mayCall
}

// peerConn is a connection of a known user.
type peerConn struct {
	*net.UnixConn

	rights rights
}

// namedListener hands out TLS connections; what their clients may do, the names
// in their certificates say.
type namedListener struct {
	net.Listener

	calls, records, registers []string
}

func (l namedListener) rightsOf(s *tls.ConnectionState) (r rights) {
	if s == nil {
		return 0
	}
	if checkName(*s, l.calls) == nil {
		r |= mayCall
	}
	if checkName(*s, l.records) == nil {
		r |= mayRecord
	}
	if checkName(*s, l.registers) == nil {
		r |= mayRegister
	}
	return r
}

type (
	listenerKey struct{}
	rightsKey   struct{}
)

// withListener and withConn are an http.Server's BaseContext and ConnContext.
func withListener(l net.Listener) context.Context {
	return context.WithValue(context.Background(), listenerKey{}, l)
}

func withConn(ctx context.Context, conn net.Conn) context.Context {
	if peer, ok := conn.(peerConn); ok {
		ctx = context.WithValue(ctx, rightsKey{}, peer.rights)
	}
	return ctx
}

// rightsIn is what the peer may do whose call this is. Handlers that nobody
// admitted serve whoever reaches them.
func rightsIn(ctx context.Context) rights {
	if known, ok := ctx.Value(rightsKey{}).(rights); ok {
		return known
	}
	return allRights
}

// rightsOf is what the peer behind a request may do. Listen knows all of its
// peers; for another listener, whoever opened it answers.
func rightsOf(r *http.Request) rights {
	if known, ok := r.Context().Value(rightsKey{}).(rights); ok {
		return known
	}
	if l, ok := r.Context().Value(listenerKey{}).(namedListener); ok {
		return l.rightsOf(r.TLS)
	}
	return allRights
}

// admitting turns away calls that are not for this peer: a broken public side
// cannot write what auditors or officers did, a broken auditors' door or registrar
// cannot sign. What the peer may do comes along in the context.
func admitting(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		may := rightsOf(r)
		if may&needs(r.URL.Path) == 0 {
			logger.WarnContext(r.Context(), "call_not_for_this_peer", "path", r.URL.Path)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), rightsKey{}, may)))
	})
}
