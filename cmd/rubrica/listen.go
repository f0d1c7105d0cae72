package main

import (
	"context"
	"log/slog"
	"net"

	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// ListenSettings say where the signer takes calls and whose: on a socket of
// this host, or over mutual TLS.
type ListenSettings struct {
	// Socket is for an api on the same host.
	Socket string `help:"Unix socket to listen on." type:"path"`
	// PeerUser says whose processes may call, by what the kernel says of them
	// and not by who can open the file.
	PeerUser []string `help:"User who may call the socket, name or number; several allowed. Default: the signer's own."`
	// AuditorUser is the user of the auditor's door: it may have the log record what
	// auditors do, and nothing else.
	AuditorUser []string `help:"User of the auditor's door, name or number. Default: none, or the signer's own if nobody else may call."`
	// RegistrarUser is the user of the registrar's process: it may bring what offices
	// signed, have the log record what officers do, and nothing else.
	RegistrarUser []string `help:"User of the registrar, name or number. Default: none, or the signer's own if nobody else may call."`
	// SocketGroup lets other users open the file. The signer's user must belong
	// to it.
	SocketGroup string `help:"Group of the socket, name or number, for users other than the signer's own."`

	// ListenTLS is for an api on another host. All files are read again when
	// they change.
	ListenTLS      string   `name:"listen-tls" help:"Address to listen on with mutual TLS, instead of a socket." placeholder:"HOST:PORT"`
	TLSCertificate string   `name:"tls-certificate" help:"Certificate for it, with its chain (PEM)." type:"path"`
	TLSKey         string   `name:"tls-key" help:"Its key (PEM)." type:"path"`
	TLSClientCA    string   `name:"tls-client-ca" help:"Authorities that issue the clients' certificates (PEM)." type:"path"`
	TLSClientName  []string `name:"tls-client-name" help:"DNS name that a client's certificate must have; several allowed."`
	// TLSAuditorName is AuditorUser's counterpart.
	TLSAuditorName []string `name:"tls-auditor-name" help:"DNS name that the certificate of the auditor's door must have."`
	// TLSRegistrarName is RegistrarUser's.
	TLSRegistrarName []string `name:"tls-registrar-name" help:"DNS name that the registrar's certificate must have."`
}

func (s ListenSettings) listen(ctx context.Context, logger *slog.Logger) (net.Listener, error) {
	return rpc.Listen(ctx, rpc.ListenConfig{
		Socket: s.Socket, Peers: s.PeerUser, AuditPeers: s.AuditorUser, RegistrarPeers: s.RegistrarUser, Group: s.SocketGroup,
		Address: s.ListenTLS, TLS: rpc.Files{Certificate: s.TLSCertificate, Key: s.TLSKey, CA: s.TLSClientCA},
		ClientNames: s.TLSClientName, AuditNames: s.TLSAuditorName, RegistrarNames: s.TLSRegistrarName,
		Logger: logger,
	})
}

// DialSettings say where the signer is.
type DialSettings struct {
	// SignerSocket is where the signature activation module listens on this host.
	SignerSocket string `help:"Unix socket of the signer." type:"path"`

	// SignerURL is where it listens on another. All files are read again when
	// they change.
	SignerURL      string `name:"signer-url" help:"Address of the signer on another host, instead of a socket." placeholder:"https://HOST:PORT"`
	SignerCA       string `name:"signer-ca" help:"Authorities that issue the signer's certificate (PEM)." type:"path"`
	TLSCertificate string `name:"tls-certificate" help:"Certificate to show to the signer, with its chain (PEM)." type:"path"`
	TLSKey         string `name:"tls-key" help:"Its key (PEM)." type:"path"`
}

func (s DialSettings) dial(logger *slog.Logger) (*rpc.Client, error) {
	return rpc.Dial(rpc.DialConfig{
		Socket: s.SignerSocket,
		URL:    s.SignerURL, TLS: rpc.Files{Certificate: s.TLSCertificate, Key: s.TLSKey, CA: s.SignerCA},
		Logger: logger,
	})
}
