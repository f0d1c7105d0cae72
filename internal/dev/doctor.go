package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rubrica-firma/rubrica/internal/postgres"
)

// Examination says what Doctor looks at.
type Examination struct {
	Dir       string
	Addresses []string
	Out       io.Writer
}

// ErrUnwell means that Doctor found something missing; what, it has printed.
var ErrUnwell = errors.New("something is missing")

// finding is the result of one check.
type finding struct {
	name   string
	ok     bool
	says   string // a version, or what is wrong
	pkg    string // Debian's and Ubuntu's package that mends it, if one does
	remedy string // what else mends it
	lesser bool   // missing, it only takes comfort away
}

// Doctor says what this machine lacks, and the one command that mends it.
func Doctor(ctx context.Context, e Examination) error {
	findings := []finding{
		checkPostgres(ctx),
		checkSoftHSM(),
		checkProgram(ctx, "pdftoppm", "poppler-utils", "-v"),
		checkProgram(ctx, "pdftotext", "poppler-utils", "-v"),
		checkProgram(ctx, "pdfsig", "poppler-utils", "-v"),
		checkProgram(ctx, "openssl", "openssl", "version"),
		checkNamespaces(ctx),
		checkDirectory(e.Dir),
	}
	for _, address := range e.Addresses {
		findings = append(findings, checkAddress(ctx, address))
	}
	return report(e.Out, findings)
}

func report(out io.Writer, findings []finding) error {
	var missing bool
	for _, f := range findings {
		mark := "ok"
		switch {
		case !f.ok && f.lesser:
			mark = "warn"
		case !f.ok:
			mark, missing = "MISS", true
		}
		fmt.Fprintf(out, "%-5s %-18s %s\n", mark, f.name, f.says)
		if !f.ok && f.remedy != "" {
			fmt.Fprintf(out, "%25s%s\n", "", f.remedy)
		}
	}
	if names := packages(findings); len(names) > 0 {
		fmt.Fprintf(out, "\nTo mend it:\n\n  sudo apt-get install -y %s\n", strings.Join(names, " "))
	}
	if missing {
		return ErrUnwell
	}
	fmt.Fprintln(out, "\nNothing is missing.")
	return nil
}

func packages(findings []finding) []string {
	var names []string
	for _, f := range findings {
		if !f.ok && f.pkg != "" {
			names = append(names, f.pkg)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func checkPostgres(ctx context.Context) finding {
	f := finding{name: "PostgreSQL", pkg: "postgresql"}
	bindir, err := postgres.Find(ctx, 0)
	if err != nil {
		f.says = "no server binaries"
		return f
	}
	major := postgres.Major(ctx, bindir)
	f.ok = major >= 15
	f.says = fmt.Sprintf("%d in %s", major, bindir)
	if !f.ok {
		f.says += ", 15 or later is needed"
	}
	return f
}

func checkSoftHSM() finding {
	f := finding{name: "SoftHSM", pkg: "softhsm2", says: SoftHSM()}
	f.ok = f.says != ""
	if !f.ok {
		f.says = "libsofthsm2.so not found"
	}
	return f
}

func checkProgram(ctx context.Context, name, pkg string, version ...string) finding {
	f := finding{name: name, pkg: pkg}
	path, err := exec.LookPath(name)
	if err != nil {
		f.says = "not installed"
		return f
	}
	out, err := exec.CommandContext(ctx, path, version...).CombinedOutput()
	if err != nil {
		f.says = "does not run: " + err.Error()
		return f
	}
	f.ok = true
	f.says, _, _ = strings.Cut(string(out), "\n")
	return f
}

// checkNamespaces tries what takes the document worker off the network: a user
// and a network namespace of its own.
func checkNamespaces(ctx context.Context) finding {
	f := finding{name: "user namespaces", lesser: true}
	cmd := exec.CommandContext(ctx, "/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 65534, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 65534, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Run(); err != nil {
		f.says = "not allowed here (" + err.Error() + ")"
		f.remedy = "the document worker keeps its limits of memory and time, but not its isolation from the network; " +
			"allow them with: sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
		return f
	}
	f.ok, f.says = true, "available for the document worker"
	return f
}

// checkDirectory tries to write where the data will be, in the nearest parent
// that exists.
func checkDirectory(dir string) finding {
	f := finding{name: "data directory", says: dir, remedy: "choose another with --dir"}
	for existing := dir; ; existing = filepath.Dir(existing) {
		info, err := os.Stat(existing)
		if errors.Is(err, os.ErrNotExist) && existing != filepath.Dir(existing) {
			continue
		}
		if err != nil || !info.IsDir() {
			f.says = existing + " is no directory"
			return f
		}
		probe, err := os.CreateTemp(existing, ".rubrica-doctor-")
		if err != nil {
			f.says = existing + " cannot be written to"
			return f
		}
		_ = probe.Close()
		_ = os.Remove(probe.Name())
		f.ok = true
		return f
	}
}

// checkAddress only warns: the environment that is already up is the likeliest
// to hold its ports.
func checkAddress(ctx context.Context, address string) finding {
	f := finding{name: "address", lesser: true, says: address}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		f.says = err.Error()
		f.remedy = "by `rubrica up` itself, perhaps; otherwise choose another (rubrica up --help)"
		return f
	}
	_ = l.Close()
	f.ok = true
	return f
}
