package dev

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rubrica-firma/rubrica/internal/postgres"
)

// directory is the one place where a development environment keeps everything.
type directory struct {
	path string
	lock *os.File
}

// openDirectory makes what is missing of the directory and locks it until the
// process ends.
func openDirectory(path string) (*directory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, failure(StatusDirectory, "finding the data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // PostgreSQL's user passes through it; what is secret is below, in secrets
		return nil, failure(StatusDirectory, "the data directory cannot be made (choose another with --dir): %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "up.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, failure(StatusDirectory, "the data directory cannot be written to (choose another with --dir): %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, failure(StatusRunning, "another `rubrica up` is running on %s: stop it, or choose another --dir", path)
	}
	d := &directory{path: path, lock: lock}
	for _, name := range []string{"secrets", "log"} {
		if err := os.MkdirAll(d.join(name), 0o700); err != nil {
			return nil, failure(StatusDirectory, "the data directory cannot be written to (choose another with --dir): %w", err)
		}
	}
	return d, nil
}

func (d *directory) join(names ...string) string {
	return filepath.Join(append([]string{d.path}, names...)...)
}

func (d *directory) close() { _ = d.lock.Close() }

// sockets returns the directory for Unix sockets: run/ in the data directory,
// or, where that is too deep for a socket's path, a short one of the user's
// own, always the same for the same data directory.
func (d *directory) sockets() (string, error) {
	dir := d.join("run")
	if postgres.CheckSocketDir(filepath.Join(dir, "postgres")) != nil {
		hash := sha256.Sum256([]byte(d.path))
		dir = filepath.Join(os.TempDir(), "rubrica-"+hex.EncodeToString(hash[:6]))
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // PostgreSQL's user passes through it
		return "", failure(StatusDirectory, "making the socket directory: %w", err)
	}
	// In a temporary directory somebody else may have been there first.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", failure(StatusDirectory, "looking at the socket directory: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return "", failure(StatusDirectory, "the socket directory %s belongs to somebody else", dir)
	}
	return dir, nil
}

// secret returns the content of a file in secrets/, filled at random the first
// time.
func (d *directory) secret(name string) (path, value string, err error) {
	return d.secretFrom(name, rand.Text)
}

func (d *directory) secretFrom(name string, random func() string) (path, value string, err error) {
	path = d.join("secrets", name)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		return path, strings.TrimSpace(string(text)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", failure(StatusDirectory, "reading a secret: %w", err)
	}
	value = random()
	if err := d.write(filepath.Join("secrets", name), value+"\n"); err != nil {
		return "", "", err
	}
	return path, value, nil
}

// write replaces a file at once and only for its owner's eyes, so that a
// reader, or a next start after a crash, finds the old content or the new.
func (d *directory) write(name, content string) error { return d.writeFor(0o600, name, content) }

func (d *directory) writeFor(mode fs.FileMode, name, content string) error {
	path := d.join(name)
	// What a crash left has its own mode and perhaps another owner.
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure(StatusDirectory, "writing to the data directory: %w", err)
	}
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		return failure(StatusDirectory, "writing to the data directory: %w", err)
	}
	if err := os.Chmod(path+".new", mode); err != nil {
		return failure(StatusDirectory, "writing to the data directory: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return failure(StatusDirectory, "writing to the data directory: %w", err)
	}
	return nil
}

// pin is what a person could type into an HSM: digits.
func pin() string {
	var digits strings.Builder
	for digits.Len() < 16 {
		b := [1]byte{}
		rand.Read(b[:])
		if b[0] < 250 { // 250 is the largest multiple of 10 in a byte
			fmt.Fprint(&digits, b[0]%10)
		}
	}
	return digits.String()
}
