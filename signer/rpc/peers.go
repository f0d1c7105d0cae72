package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// listenUnix takes a socket over that nobody listens on any more.
func listenUnix(ctx context.Context, c ListenConfig) (net.Listener, error) {
	who, err := admitted(c)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	if conn, err := dialer.DialContext(ctx, "unix", c.Socket); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("another signer listens on %s: stop it first, or name another --socket", c.Socket)
	}
	if err := os.Remove(c.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("taking the socket over: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening on the socket: %w", err)
	}
	if err := who.protect(c.Socket); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &peerListener{UnixListener: listener, users: who.users, logger: c.Logger}, nil
}

// admission is who may call and what, by users, and the group that lets them
// open the socket's file, -1 for none.
type admission struct {
	users map[uint32]rights
	group int
}

func admitted(c ListenConfig) (admission, error) {
	a := admission{users: make(map[uint32]rights), group: -1}
	if len(c.Peers)+len(c.AuditPeers)+len(c.RegistrarPeers) == 0 {
		a.users[ownUser()] = allRights
	}
	if len(c.Peers) == 0 {
		a.users[ownUser()] |= mayCall
	}
	if err := a.admit(c.Peers, mayCall); err != nil {
		return a, fmt.Errorf("looking for the user given with --peer-user: %w", err)
	}
	if err := a.admit(c.AuditPeers, mayRecord); err != nil {
		return a, fmt.Errorf("looking for the user given with --auditor-user: %w", err)
	}
	if err := a.admit(c.RegistrarPeers, mayRegister); err != nil {
		return a, fmt.Errorf("looking for the user given with --registrar-user: %w", err)
	}
	if c.Group == "" {
		// Without a group the file would have to be open to everybody.
		for id := range a.users {
			if id != ownUser() && id != 0 {
				return a, errors.New("a --peer-user, --auditor-user or --registrar-user that is not the signer's own user cannot open the socket: name a --socket-group to which all belong")
			}
		}
		return a, nil
	}
	id, err := numberOf(c.Group, func(name string) (string, error) {
		entry, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return entry.Gid, nil
	})
	if err != nil {
		return a, fmt.Errorf("looking for the group given with --socket-group: %w", err)
	}
	a.group = int(id)
	return a, nil
}

func ownUser() uint32 { return uint32(os.Geteuid()) } //nolint:gosec // a uid

// admit lets users do something.
func (a admission) admit(names []string, may rights) error {
	for _, name := range names {
		id, err := numberOf(name, func(name string) (string, error) {
			entry, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return entry.Uid, nil
		})
		if err != nil {
			return err
		}
		a.users[id] |= may
	}
	return nil
}

// numberOf reads a number, or finds that of a name. A number needs no entry in
// the user database: containers and systemd's dynamic users have none.
func numberOf(name string, find func(string) (string, error)) (uint32, error) {
	id, err := strconv.ParseUint(name, 10, 32)
	if err == nil {
		return uint32(id), nil
	}
	found, err := find(name)
	if err != nil {
		return 0, err
	}
	if id, err = strconv.ParseUint(found, 10, 32); err != nil {
		return 0, fmt.Errorf("reading the number of %s: %w", name, err)
	}
	return uint32(id), nil
}

// protect closes the file to all who cannot be admitted anyway. Before it does,
// a connection is judged by its user all the same.
func (a admission) protect(path string) error {
	mode := fs.FileMode(0o600)
	if a.group >= 0 {
		if err := os.Chown(path, -1, a.group); err != nil {
			return fmt.Errorf("giving the socket to the group %d (the signer's user must belong to it): %w", a.group, err)
		}
		mode = 0o660
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("protecting the socket: %w", err)
	}
	return nil
}

// peerListener hands out the connections of some users only. Who is at the
// other end is the kernel's word (unix(7), SO_PEERCRED): the user as which the
// peer connected.
type peerListener struct {
	*net.UnixListener

	users  map[uint32]rights
	logger *slog.Logger
}

func (l *peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := credentials(conn)
		switch {
		case err != nil:
			l.logger.Warn("peer_unknown", "error", err)
		case l.users[peer.Uid] == 0:
			l.logger.Warn("peer_refused", "uid", peer.Uid, "pid", peer.Pid)
		default:
			return peerConn{conn, l.users[peer.Uid]}, nil
		}
		_ = conn.Close()
	}
}

func credentials(conn *net.UnixConn) (peer *syscall.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("asking who calls: %w", err)
	}
	var asked error
	err = raw.Control(func(fd uintptr) {
		peer, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, asked); err != nil {
		return nil, fmt.Errorf("asking who calls: %w", err)
	}
	return peer, nil
}
