// Package scratch finds places for what tests throw away. Directories: a
// database for each test, a token for each test, files by the thousand; on a
// disk, their making and removing is most of what they cost. Addresses to listen
// on.
package scratch

import (
	"os"

	"golang.org/x/sys/unix"
)

// shm is where Linux keeps files in memory.
const shm = "/dev/shm"

// enough is what the tests of a few processes hold at a time, several times
// over. Containers often have 64 MB.
const enough = 2 << 30

// Root is the directory to make directories in: in memory where there is room,
// else, or where TMPDIR says so, that for all temporary files.
func Root() string {
	var shmfs unix.Statfs_t
	if os.Getenv("TMPDIR") != "" || unix.Statfs(shm, &shmfs) != nil || shmfs.Type != unix.TMPFS_MAGIC {
		return os.TempDir()
	}
	if shmfs.Bavail*uint64(shmfs.Bsize) < enough || unix.Access(shm, unix.W_OK) != nil { //nolint:gosec // a size of blocks
		return os.TempDir()
	}
	return shm
}
