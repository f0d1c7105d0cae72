package sede

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// verdict is what a foreign program says of a signed document.
type verdict struct {
	Program string
	Valid   bool
	Says    string
}

// verify asks poppler's pdfsig about a PDF, OpenSSL about a CMS: programs that
// share no code with the service.
func verify(ctx context.Context, format client.Format, signed []byte, contentFile, rootFile string) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "rubrica-sede-")
	if err != nil {
		return verdict{}, fmt.Errorf("making a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "signed")
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		return verdict{}, fmt.Errorf("writing the signed document: %w", err)
	}
	if format == client.Pades {
		return pdfsig(ctx, dir, file)
	}
	return opensslCMS(ctx, format, file, contentFile, rootFile)
}

func pdfsig(ctx context.Context, dir, file string) (verdict, error) {
	// -nocert leaves the chain out: pdfsig knows only the certificates of a
	// browser's store, and a development root is in none.
	cmd := exec.CommandContext(ctx, "pdfsig", "-nocert", file)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + dir}
	v, err := run(cmd)
	v.Program = "pdfsig (poppler)"
	// Its exit status says only whether the file could be read. Document
	// time-stamps it lists without judging them; the last of all signatures and
	// time-stamps has to cover the whole, unless validation data stand behind it.
	v.Valid = v.Valid && strings.Contains(v.Says, "Signature is Valid.") && !strings.Contains(v.Says, "Signature is Invalid") &&
		!strings.Contains(v.Says, "Digest Mismatch")
	v.Says = strings.ReplaceAll(v.Says, file, "documento")
	return v, err
}

func opensslCMS(ctx context.Context, format client.Format, file, contentFile, rootFile string) (verdict, error) {
	args := []string{"cms", "-verify", "-cades", "-inform", "DER", "-binary", "-in", file, "-out", os.DevNull, "-purpose", "any"}
	if format == client.CadesDetached {
		args = append(args, "-content", contentFile)
	}
	if _, err := os.Stat(rootFile); err == nil {
		args = append(args, "-CAfile", rootFile)
	} else {
		args = append(args, "-noverify")
	}
	v, err := run(exec.CommandContext(ctx, "openssl", args...))
	v.Program = "openssl cms -verify -cades"
	return v, err
}

// run returns what the program says; an error means that it could not be asked.
func run(cmd *exec.Cmd) (verdict, error) {
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return verdict{}, fmt.Errorf("running %s: %w", filepath.Base(cmd.Path), err)
	}
	return verdict{Valid: err == nil, Says: strings.TrimSpace(string(out))}, nil
}
