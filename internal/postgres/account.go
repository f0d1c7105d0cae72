package postgres

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// PostgreSQL refuses to run as root. Where this process is root, the server
// runs as the user postgres, whom the distribution's package makes, else as
// nobody; its files belong to that user.
type account struct{ uid, gid int }

// serverAccount returns false where this process is not root and the server is
// simply another process of the same user.
func serverAccount() (account, bool, error) {
	if os.Geteuid() != 0 {
		return account{}, false, nil
	}
	entry, err := user.Lookup("postgres")
	if err != nil {
		entry, err = user.Lookup("nobody")
	}
	if err != nil {
		return account{}, false, fmt.Errorf("looking for an unprivileged user to run PostgreSQL as: %w", err)
	}
	uid, err := strconv.Atoi(entry.Uid)
	if err != nil {
		return account{}, false, fmt.Errorf("reading the uid of %s: %w", entry.Username, err)
	}
	gid, err := strconv.Atoi(entry.Gid)
	if err != nil {
		return account{}, false, fmt.Errorf("reading the gid of %s: %w", entry.Username, err)
	}
	return account{uid: uid, gid: gid}, true, nil
}

// Own makes dir, private to the user that the server runs as.
func Own(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return fmt.Errorf("making a directory for PostgreSQL: %w", err)
	}
	return chown(dir)
}

func chown(path string) error {
	other, needed, err := serverAccount()
	if err != nil || !needed {
		return err
	}
	if err := os.Chown(path, other.uid, other.gid); err != nil {
		return fmt.Errorf("handing a file to the PostgreSQL user: %w", err)
	}
	return nil
}

// credentials make a process the server's user. A checkout below /root is
// reachable for root alone: there the server gets the one capability that
// lets it pass through its parent directories.
func credentials(dir string) (*syscall.SysProcAttr, error) {
	other, needed, err := serverAccount()
	if err != nil || !needed {
		return &syscall.SysProcAttr{}, err
	}
	attr := &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(other.uid), //nolint:gosec // a uid of the user database
		Gid: uint32(other.gid), //nolint:gosec // a gid of the user database
	}}
	if !Reachable(dir, other.uid, other.gid) {
		attr.AmbientCaps = []uintptr{unix.CAP_DAC_OVERRIDE}
	}
	return attr, nil
}

// Reachable says whether a user may pass through all parents of path.
func Reachable(path string, uid, gid int) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		var stat unix.Stat_t
		if err := unix.Stat(dir, &stat); err != nil {
			return false
		}
		passes := stat.Mode&0o001 != 0 ||
			int(stat.Uid) == uid && stat.Mode&0o100 != 0 ||
			int(stat.Gid) == gid && stat.Mode&0o010 != 0
		if !passes {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}
