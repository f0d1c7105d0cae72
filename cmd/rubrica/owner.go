package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// actAsOwner turns a command of root's, for good, into one of the user to whom
// SoftHSM's tokens belong. A key that root puts into them is a file for root
// alone: the signer's SoftHSM would pass over it without a word.
func (s TokenSettings) actAsOwner() error {
	stat, err := s.owner()
	if err != nil || stat == nil || stat.Uid == 0 {
		return err
	}
	uid, gid := int(stat.Uid), int(stat.Gid)
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(gid, gid, gid), syscall.Setresuid(uid, uid, uid)); err != nil {
		return fmt.Errorf("acting as user %d, to whom SoftHSM's tokens belong: %w", uid, err)
	}
	return nil
}

// owner is to whom SoftHSM's tokens belong, if root is going to act as them.
func (s TokenSettings) owner() (*syscall.Stat_t, error) {
	if err := s.findSoftHSM(); err != nil {
		return nil, err
	}
	dir := s.softHSMDirectory()
	if dir == "" || os.Geteuid() != 0 {
		return nil, nil
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(dir, &stat); err != nil {
		return nil, fmt.Errorf("looking at SoftHSM's tokens in %s: %w", dir, err)
	}
	return &stat, nil
}

// softHSMDirectory is where SoftHSM keeps its tokens, empty for another module
// (softhsm2.conf(5)).
func (s TokenSettings) softHSMDirectory() string {
	if !strings.Contains(filepath.Base(s.PKCS11Module), "softhsm") {
		return ""
	}
	file, err := os.Open(cmp.Or(os.Getenv("SOFTHSM2_CONF"), "/etc/softhsm/softhsm2.conf")) //nolint:gosec // where whoever runs this has SoftHSM look
	if err != nil {
		return "" // SoftHSM will say so itself
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		if strings.TrimSpace(name) == "directories.tokendir" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
