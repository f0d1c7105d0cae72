package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/rubrica-firma/rubrica/internal/postgres"
)

// account is whom a process runs as.
type account struct {
	uid, gid int
	groups   []int // besides gid
}

// accounts are those of the service's processes and of the log's witness. Apart,
// none can read another's secrets, nor trace it, nor use its role in the database.
type accounts struct {
	api, signer, registrar, auditor, witness account
	// program is the rubrica command where all may execute it.
	program string
	// together says why they are not apart, and run as whoever runs this.
	together string
}

// The users and groups that stand in where nobody has made rubrica-api and the
// others: some of those that systemd lends to services for as long as
// they run (systemd.io/UIDS-GIDS), which belong to nobody and need no entry.
const (
	numberAPI       = 61190
	numberSigner    = 61191
	numberAuditor   = 61192
	numberWitness   = 61193
	numberRegistrar = 61194
)

// separate decides whom the service's processes run as.
func separate(ctx context.Context, d *directory, c Config) accounts {
	here := account{uid: os.Geteuid(), gid: os.Getegid()}
	together := func(why string) accounts {
		return accounts{api: here, signer: here, registrar: here, auditor: here, witness: here, program: c.Program, together: why}
	}
	switch {
	case here.uid != 0:
		return together("only root can make them others")
	case c.Token.Module != "":
		return together("the token is not the environment's own")
	}
	a := accounts{
		api: lookUp("rubrica-api", numberAPI), signer: lookUp("rubrica-signer", numberSigner), registrar: lookUp("rubrica-registrar", numberRegistrar),
		auditor: lookUp("rubrica-auditor", numberAuditor), witness: lookUp("rubrica-witness", numberWitness), program: c.Program,
	}
	// The signer gives its socket to the api's group, to which the auditor's process
	// and the registrar belong for that.
	a.signer.groups, a.auditor.groups, a.registrar.groups = []int{a.api.gid}, []int{a.api.gid}, []int{a.api.gid}
	for _, who := range a.all() {
		if !who.reaches(d.join("rubrica.toml")) {
			return together(d.path + " is closed to other users")
		}
	}
	err := a.execute(ctx)
	if errors.Is(err, fs.ErrPermission) {
		// What `go run` builds is for its user alone, and so is a checkout in a
		// home directory.
		if a.program, err = d.copyProgram(c.Program); err == nil {
			err = a.execute(ctx)
		}
	}
	if err != nil {
		return together(err.Error())
	}
	return a
}

func (a accounts) apart() bool { return a.together == "" }

func (a accounts) all() []account {
	return []account{a.api, a.signer, a.registrar, a.auditor, a.witness}
}

// String is what a person is told.
func (a accounts) String() string {
	if !a.apart() {
		return "api, signer, registrar, auditor and witness run as the present user: " + a.together + "."
	}
	return fmt.Sprintf("api, signer, registrar, auditor and witness run as users of their own: %d, %d, %d, %d and %d.", a.api.uid, a.signer.uid, a.registrar.uid, a.auditor.uid, a.witness.uid)
}

// lookUp prefers a user whom somebody has made for the purpose.
func lookUp(name string, number int) account {
	stand := account{uid: number, gid: number}
	entry, err := user.Lookup(name)
	if err != nil {
		return stand
	}
	uid, uidErr := strconv.Atoi(entry.Uid)
	gid, gidErr := strconv.Atoi(entry.Gid)
	if errors.Join(uidErr, gidErr) != nil || uid == 0 || gid == 0 {
		return stand
	}
	return account{uid: uid, gid: gid}
}

func (a account) reaches(path string) bool { return postgres.Reachable(path, a.uid, a.gid) }

// execute tries whether the program can be started as each.
func (a accounts) execute(ctx context.Context) error {
	for _, who := range a.all() {
		cmd := exec.CommandContext(ctx, a.program, "--version")
		who.assume(cmd)
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("starting %s as user %d: %w", a.program, who.uid, err)
		}
		_ = cmd.Process.Kill() // that it started is the answer
		_ = cmd.Wait()
	}
	return nil
}

// assume makes cmd run as the account, with nothing of root's about it.
func (a account) assume(cmd *exec.Cmd) {
	if a.uid == os.Geteuid() {
		return
	}
	credential := &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // numbers of the user database
	for _, id := range a.groups {
		credential.Groups = append(credential.Groups, uint32(id)) //nolint:gosec // as above
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	cmd.Env = append(cmd.Environ(), "HOME=/nonexistent")
	cmd.Dir = "/" // the current directory may be closed to it
}

// take makes the account the owner of files and, by their mode, the only reader.
// It is done at each start: whoever ran before may have been another.
func (a account) take(paths ...string) error {
	if os.Geteuid() != 0 {
		return nil // all belongs to whoever runs this
	}
	for _, path := range paths {
		if err := os.Lchown(path, a.uid, a.gid); err != nil {
			return failure(StatusDirectory, "handing a file to the user %d: %w", a.uid, err)
		}
	}
	return nil
}

// takeAll is take for a directory and all that it holds.
func (a account) takeAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return failure(StatusDirectory, "handing over a directory: %w", err)
		}
		return a.take(path)
	})
}

// copyProgram puts a copy of the program where others can execute it.
func (d *directory) copyProgram(program string) (string, error) {
	to := d.join("bin", "rubrica")
	if err := os.Mkdir(filepath.Dir(to), 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // a program is no secret
		return "", fmt.Errorf("copying the program: %w", err)
	}
	from, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("copying the program: %w", err)
	}
	defer func() { _ = from.Close() }()
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700) //nolint:gosec // a program is executed
	if err != nil {
		return "", fmt.Errorf("copying the program: %w", err)
	}
	_, err = io.Copy(out, from)
	if err = errors.Join(err, out.Close(), os.Chmod(to+".new", 0o755), os.Chmod(filepath.Dir(to), 0o755), os.Rename(to+".new", to)); err != nil { //nolint:gosec // for others to execute
		return "", fmt.Errorf("copying the program: %w", err)
	}
	return to, nil
}
