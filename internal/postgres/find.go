package postgres

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MissingError says that no PostgreSQL server is installed, or not the one that
// the existing data need, and what to do.
type MissingError struct {
	// Major is the version that the data need, 0 for any.
	Major int
}

func (e *MissingError) Error() string {
	if e.Major == 0 {
		return "no PostgreSQL server is installed: sudo apt-get install -y postgresql"
	}
	return fmt.Sprintf("the data directory belongs to PostgreSQL %d, which is not installed: "+
		"sudo apt-get install -y postgresql-%[1]d (or start with an empty directory)", e.Major)
}

// Find returns the directory of the server binaries of the given major
// version, or of the newest one when major is 0.
func Find(ctx context.Context, major int) (string, error) {
	var found []string
	for _, dir := range candidates(ctx) {
		if isExecutable(filepath.Join(dir, "postgres")) && isExecutable(filepath.Join(dir, "initdb")) {
			found = append(found, dir)
		}
	}
	if major != 0 {
		found = slices.DeleteFunc(found, func(dir string) bool { return Major(ctx, dir) != major })
	}
	if len(found) == 0 {
		return "", &MissingError{Major: major}
	}
	return found[0], nil
}

// candidates lists where the binaries may be, the most likely first. Debian and
// Ubuntu keep them out of PATH, one directory for each major version.
func candidates(ctx context.Context) []string {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		dirs = nil // only a malformed pattern fails, and this one is constant
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(debianMajor(b), debianMajor(a)) })
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	return dirs
}

func debianMajor(bindir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(bindir)))
	if err != nil {
		return 0
	}
	return n
}

// Major asks the server in bindir for its major version, 0 if it does not say.
func Major(ctx context.Context, bindir string) int {
	// The answer looks like "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)".
	out, err := exec.CommandContext(ctx, filepath.Join(bindir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	_, version, _ := strings.Cut(string(out), ") ")
	digits := strings.TrimFunc(version[:min(len(version), 2)], func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
