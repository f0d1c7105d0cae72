// Package npm installs the modules that tests run on Node: those that a
// package-lock.json names, once, into the cache directory of whoever runs the
// tests.
package npm

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Install gives the directory with a program's files and its modules. It is
// named by what is in the files, and put in its place as a whole, so that test
// binaries that run at the same time do not meet half of it.
func Install(name string, files fs.FS) (string, error) {
	sum, err := digest(files)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "rubrica-tests")
	dir := filepath.Join(cache, fmt.Sprintf("%s-%x", name, sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("making a cache: %w", err)
	}
	fresh, err := os.MkdirTemp(cache, name+"-new-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(fresh) //nolint:errcheck // it has been moved, or harms nobody
	if err := os.CopyFS(fresh, files); err != nil {
		return "", fmt.Errorf("writing the program: %w", err)
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline") //nolint:noctx // ends by itself
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing the modules: %w\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return "", fmt.Errorf("putting the modules in place: %w", err)
		}
	}
	return dir, nil
}

func digest(files fs.FS) ([]byte, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", path, len(content)) //nolint:errcheck // a hash takes everything
		sum.Write(content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	return sum.Sum(nil), nil
}
