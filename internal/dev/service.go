package dev

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

func (u *environment) command(log string, args []string) *command {
	return &command{
		path: u.config.Program,
		args: append(slices.Clip(args), "--config", u.env.ConfigFile),
		env:  u.env.Token.Environ(),
		log:  u.dir.join("log", log+".log"),
	}
}

// as makes it the command of another user.
func (c *command) as(a accounts, who account) *command {
	c.path, c.account = a.program, &who
	return c
}

// openSockets lets the others at the signer's socket, and all at PostgreSQL's, where
// the password decides.
func (u *environment) openSockets(dir string) error {
	own := filepath.Dir(u.env.SignerSocket)
	if err := os.Mkdir(own, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return failure(StatusDirectory, "making a directory for the signer's socket: %w", err)
	}
	if err := u.accounts.signer.take(own); err != nil || !u.accounts.apart() {
		return err
	}
	err := errors.Join(os.Lchown(own, -1, u.accounts.api.gid), os.Chmod(own, 0o710)) //nolint:gosec // the group passes through it
	if u.config.Database == "" {
		err = errors.Join(err, os.Chmod(filepath.Join(dir, "postgres"), 0o711)) //nolint:gosec // as above, everybody
	}
	if err != nil {
		return failure(StatusDirectory, "opening the directories of the sockets: %w", err)
	}
	return nil
}

// handOver gives each process its own secrets and nothing else: what is in
// secrets/ and belongs to none stays with whoever runs this.
func (u *environment) handOver() error {
	export := filepath.Dir(u.env.RootFile)             // which init will write as the signer's user
	if err := os.MkdirAll(export, 0o755); err != nil { //nolint:gosec // all in it is public
		return failure(StatusDirectory, "writing to the data directory: %w", err)
	}
	if u.accounts.apart() {
		if err := os.Chmod(u.dir.join("secrets"), 0o711); err != nil { //nolint:gosec // to pass through: each file in it is for one reader
			return failure(StatusDirectory, "opening secrets to the processes: %w", err)
		}
	}
	if u.env.Token.SoftHSMConfig != "" {
		if err := u.accounts.signer.takeAll(filepath.Dir(u.env.Token.SoftHSMConfig)); err != nil {
			return err
		}
		if err := u.accounts.signer.take(u.env.Token.PINFile); err != nil {
			return err
		}
	}
	state := filepath.Dir(u.env.LogState)
	if err := os.MkdirAll(state, 0o700); err != nil {
		return failure(StatusDirectory, "making a directory for the signer: %w", err)
	}
	return errors.Join(
		u.accounts.signer.takeAll(state),
		u.accounts.auditor.take(u.env.AuditorTLS.Key, u.dir.join("secrets", roleAuditor+".pgpass")),
		u.accounts.registrar.take(u.env.Registrar.Key, u.dir.join("secrets", roleRegistrar+".pgpass")),
		u.accounts.signer.take(export, u.env.SMSTokenFile, u.env.RegisterTokenFile, u.dir.join("secrets", roleSigner+".pgpass")),
		u.accounts.api.take(u.dir.join("secrets", roleAPI+".pgpass"), u.env.WebhookKey),
	)
}

// startService starts witness, signer, api, registrar and auditor, and waits until
// the doors say that all is ready. A process that dies again and again before that
// is a failure; later it is started again for as long as the environment lives.
func (u *environment) startService(ctx context.Context) error {
	var kept []*keeper
	logs := map[string]int64{}
	for _, s := range u.processes() {
		cmd := u.command(s.name, s.args).as(u.accounts, s.who)
		logs[s.name] = size(cmd.log)
		k, err := keep(ctx, u.config.Logger, s.name, cmd)
		if err != nil {
			return failure(StatusService, "%w", err)
		}
		u.onStop(k.stop)
		kept = append(kept, k)
	}
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !u.ready(deadline) {
		for _, k := range kept {
			if k.deaths.Load() > 3 {
				return failure(StatusService, "%s does not stay up%s", k.name, tail(u.dir.join("log", k.name+".log"), logs[k.name]))
			}
		}
		select {
		case <-deadline.Done():
			return failure(StatusService, "the service does not become ready; its logs are in %s", u.dir.join("log"))
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// process is one of the program's that runs for as long as the environment.
type process struct {
	name string
	args []string
	who  account
}

func (u *environment) processes() []process {
	all := []process{{"signer", []string{"signer"}, u.accounts.signer}, {"api", []string{"api"}, u.accounts.api}}
	if u.config.Witness != "" {
		all = append([]process{{"witness", []string{"witness", "serve"}, u.accounts.witness}}, all...)
	}
	if u.config.Registrar != "" {
		all = append(all, process{"registrar", []string{"registrar", "serve"}, u.accounts.registrar})
	}
	if u.config.Auditor != "" {
		all = append(all, process{"auditor", []string{"auditor", "serve"}, u.accounts.auditor})
	}
	return all
}

// ready is whether the doors are.
func (u *environment) ready(ctx context.Context) bool {
	if !ready(ctx, http.DefaultClient, "http://"+u.config.Listen+"/readyz") {
		return false
	}
	for _, door := range []struct{ address, authority string }{
		{u.config.Registrar, u.env.Registrar.CA}, {u.config.Certificates, u.env.Registrar.CA}, {u.config.Auditor, u.env.AuditorTLS.CA},
	} {
		if door.address != "" && !readyTLS(ctx, door.address, door.authority) {
			return false
		}
	}
	return true
}

func readyTLS(ctx context.Context, address, authority string) bool {
	text, err := os.ReadFile(authority)
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	return ready(ctx, &http.Client{Transport: transport}, "https://"+address+"/readyz")
}

func ready(ctx context.Context, client *http.Client, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
