// Package dev is the development environment: everything that Rúbrica needs on
// one machine, under one directory, on real parts. It runs a PostgreSQL cluster
// and a SoftHSM token of its own, the service's two processes, and the peers
// that a deployment has elsewhere: an SMS gateway and a mail server (the inbox)
// and a back end that asks for signatures (the demo sede).
//
// Nothing here is linked into a decision of the service: the processes read the
// same configuration file and speak the same protocols as in production.
package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/rubrica-firma/rubrica/internal/child"
	"github.com/rubrica-firma/rubrica/internal/dev/holders"
	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
	"github.com/rubrica-firma/rubrica/internal/dev/sede"
	"github.com/rubrica-firma/rubrica/internal/postgres"
)

// Config says what to run and where. The functions are the caller's: this
// package knows nothing of the service that it starts.
type Config struct {
	// Dir is the data directory.
	Dir string
	// Database is the address of an existing server's database, empty for a
	// private cluster.
	Database string
	// Token is an existing token; without a Module, a SoftHSM one is made, and
	// another for the root. RootToken is an existing one for it; without a Label,
	// the root's key is in Token.
	Token, RootToken Token
	// Listen, Sede, Inbox and SMTP are the host:port addresses of the service,
	// the demo sede, the inbox page with its SMS gateway, and its mail server.
	Listen, Sede, Inbox, SMTP string
	// Witness and Auditor are the addresses of the log's witness and of the
	// auditor's door; without them neither runs.
	Witness, Auditor string
	// Registrar and Certificates are the addresses of the registrar's two doors:
	// the officers' desk and where certificates are shown. Without them it does not
	// run.
	Registrar, Certificates string
	// Program is the path of the rubrica command.
	Program string
	// Settings gives the content of the configuration file.
	Settings func(Environment) map[string]any
	// Migrate brings the schema up to date; ErrNewerSchema if it is beyond.
	Migrate func(ctx context.Context, ownerURL string) error
	// Init lists commands of the program, without --config, that run in this
	// order after the migration; running them again changes nothing. They run as
	// whoever runs this, who alone may read the PIN of the root's token, and have
	// to act as the token's owner from themselves.
	Init [][]string
	// Trust gives the files that tell those who publish the log and those who
	// witness it of each other, by path; all of it is public.
	Trust func(Environment) (map[string]string, error)
	// Register lists the clients that the environment needs, the demo sede
	// among them, which finds its own in Environment.SedeCredentials.
	Register func(Environment) []Registration
	// Tell is the command that has the demo sede told of what becomes of its
	// requests; nil for none.
	Tell func(e Environment, application string) []string
	// Seed is a command of the program that runs once all is ready, empty for none.
	Seed []string
	// Demo is the command of the program that signs a document without a hand,
	// empty for none.
	Demo []string
	// Once takes everything down again after the demo.
	Once bool
	// Hint is printed last: how to go on.
	Hint func(Environment) string
	// Out receives what a person reads, Logger the rest.
	Out    io.Writer
	Logger *slog.Logger
}

// Registration is a command of the program that registers a client and leaves
// {"client_id", "client_secret"} in File. It runs once, when the file is not
// there.
type Registration struct {
	File    string
	Command []string
}

// Environment is what has been prepared, for the configuration file.
type Environment struct {
	Dir          string
	ConfigFile   string
	Databases    Databases
	Token        Token
	RootToken    Token // the same, where there is but one
	SignerSocket string
	// Peers may call the socket, whose group is SocketGroup; both are empty where
	// api and signer run as the same user.
	Peers          []string
	AuditorPeers   []string // may call it to have the log record what auditors do
	RegistrarPeers []string // may bring it what offices signed
	SocketGroup    string
	Listen         string
	PublicURL      string
	SedeURL        string
	InboxURL       string
	SMSGateway     string // address that takes POST {to, text, id}
	SMSTokenFile   string // the bearer token for it
	// RegisterURL is the register of accounts and addresses, with its bearer token.
	RegisterURL, RegisterTokenFile string
	SMTP                           string // host:port, without TLS or authentication
	WebhookKey                     string // file with the key that applications are told with
	RootFile                       string // where the service's root certificate is to be found, PEM
	// SedeCredentials is the JSON file with client_id and client_secret of the
	// demo sede, OfficeCredentials of the office at which citizens register.
	SedeCredentials   string
	OfficeCredentials string

	// WitnessDir is where the witness keeps what it saw, WitnessListen and
	// WitnessURL where it is found. LogState is what a publisher remembers beside
	// the database, and LogPolicy who is believed about the log.
	WitnessDir, WitnessListen, WitnessURL string
	LogState, LogPolicy, LogWitnessed     string
	// AuditorListen and AuditorURL are the auditor's door, behind AuditorTLS.
	// AuditorID is the file that names the auditor of the environment's own.
	AuditorListen, AuditorURL, AuditorID string
	AuditorTLS                           TLS
	// RegistrarListen and RegistrarURL are the officers' desk, CertificateListen and
	// CertificateURL where certificates are shown. OfficerID and SecondID are the
	// files that name the environment's own officers.
	RegistrarListen, RegistrarURL     string
	CertificateListen, CertificateURL string
	OfficerID, SecondID               string
	Registrar                         Registrar
}

// Up brings the environment up, stays until ctx ends, and takes everything down
// again. It can be started again on the same directory and goes on.
func Up(ctx context.Context, c Config) error {
	u := &environment{config: c}
	defer u.down()
	if err := u.up(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped by hand while starting: what failed, failed for that
		}
		return err
	}
	if c.Once {
		return nil
	}
	<-ctx.Done()
	fmt.Fprintln(c.Out, "\nStopping.")
	return nil
}

// environment is Up's state: what runs, in the order in which it was started.
type environment struct {
	config   Config
	dir      *directory
	accounts accounts
	env      Environment
	stops    []func()
}

func (u *environment) onStop(stop func()) { u.stops = append(u.stops, stop) }

// down stops what runs, the last started first.
func (u *environment) down() {
	for len(u.stops) > 0 {
		last := len(u.stops) - 1
		u.stops[last]()
		u.stops = u.stops[:last]
	}
}

func (u *environment) up(ctx context.Context) (err error) {
	began := time.Now()
	if u.dir, err = openDirectory(u.config.Dir); err != nil {
		return err
	}
	u.onStop(u.dir.close)
	listeners, err := u.listen(ctx)
	if err != nil {
		return err
	}
	u.accounts = separate(ctx, u.dir, u.config)
	fmt.Fprintln(u.config.Out, u.accounts)
	sockets, err := u.dir.sockets()
	if err != nil {
		return err
	}
	u.onStop(func() { _ = os.RemoveAll(sockets) }) // all who had a socket in it are gone by then
	u.env = u.addresses(sockets)
	if u.env.Token, u.env.RootToken, err = prepareTokens(u.dir, u.config); err != nil {
		return err
	}
	if u.env.AuditorTLS, err = makeAuditorTLS(u.dir); err != nil {
		return err
	}
	if u.env.Registrar, err = makeRegistrar(ctx, u.dir, "http://"+u.config.Inbox); err != nil {
		return err
	}
	if u.env.Databases, err = u.startDatabase(ctx, sockets); err != nil {
		return err
	}
	if err := u.openSockets(sockets); err != nil {
		return err
	}
	if err := u.startInbox(ctx, listeners); err != nil {
		return err
	}
	if err := u.initialise(ctx); err != nil {
		return err
	}
	if err := u.startService(ctx); err != nil {
		return err
	}
	if err := u.startSede(ctx, listeners.sede); err != nil {
		return err
	}
	if len(u.config.Seed) > 0 {
		if err := u.command("seed", u.config.Seed).once(ctx); err != nil {
			return failure(StatusService, "%w", err)
		}
	}
	u.config.Logger.InfoContext(ctx, "ready", "took", time.Since(began).Round(time.Millisecond))
	if err := u.demo(ctx); err != nil {
		return err
	}
	if !u.config.Once {
		u.announce()
	}
	return nil
}

func (u *environment) addresses(sockets string) Environment {
	e := Environment{
		Dir:          u.dir.path,
		ConfigFile:   u.dir.join("rubrica.toml"),
		SignerSocket: filepath.Join(sockets, "signer", "signer.sock"),
		Listen:       u.config.Listen,
		PublicURL:    localURL(u.config.Listen),
		SedeURL:      localURL(u.config.Sede),
		InboxURL:     localURL(u.config.Inbox),
		SMSGateway:   "http://" + u.config.Inbox + "/sms",
		SMTP:         u.config.SMTP,
		RootFile:     u.dir.join("ca", "root.pem"),

		SedeCredentials:   u.dir.join("secrets", "sede.json"),
		OfficeCredentials: u.dir.join("secrets", "registration-office.json"),

		WitnessDir: u.dir.join("witness"), WitnessListen: u.config.Witness, WitnessURL: "http://" + u.config.Witness,
		LogState: u.dir.join("signer", "log-state"), LogPolicy: u.dir.join("log-policy.txt"), LogWitnessed: u.dir.join("witnessed-logs.txt"),
		AuditorListen: u.config.Auditor, AuditorURL: secure(localURL(u.config.Auditor)),
		AuditorID:       u.dir.join("auditor", "auditor.json"),
		RegistrarListen: u.config.Registrar, RegistrarURL: secure(localURL(u.config.Registrar)),
		CertificateListen: u.config.Certificates, CertificateURL: secure(localURL(u.config.Certificates)),
		OfficerID: u.dir.join("registrar", "officer.json"), SecondID: u.dir.join("registrar", "second.json"),
	}
	if u.accounts.apart() {
		e.Peers, e.SocketGroup = []string{strconv.Itoa(u.accounts.api.uid)}, strconv.Itoa(u.accounts.api.gid)
		e.AuditorPeers, e.RegistrarPeers = []string{strconv.Itoa(u.accounts.auditor.uid)}, []string{strconv.Itoa(u.accounts.registrar.uid)}
	}
	return e
}

// localURL names the loopback address localhost: browsers treat it as a secure
// context, so that cookies behave as behind TLS.
func localURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || host == "" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func secure(address string) string { return strings.Replace(address, "http:", "https:", 1) }

type listeners struct{ sede, inbox, smtp net.Listener }

// listen takes the ports before anything is started, so that one in use is
// found at once. The service's own is tried and given back.
func (u *environment) listen(ctx context.Context) (l listeners, err error) {
	service, err := u.listenOn(ctx, "--listen", u.config.Listen)
	if err != nil {
		return l, err
	}
	if err := service.Close(); err != nil {
		return l, failure(StatusAddress, "closing a trial listener: %w", err)
	}
	for flag, address := range map[string]string{
		"--witness": u.config.Witness, "--auditor": u.config.Auditor, "--registrar": u.config.Registrar, "--certificates": u.config.Certificates,
	} {
		if address == "" {
			continue
		}
		trial, err := u.listenOn(ctx, flag, address)
		if err != nil {
			return l, err
		}
		if err := trial.Close(); err != nil {
			return l, failure(StatusAddress, "closing a trial listener: %w", err)
		}
	}
	if l.sede, err = u.listenOn(ctx, "--sede", u.config.Sede); err != nil {
		return l, err
	}
	if l.inbox, err = u.listenOn(ctx, "--inbox", u.config.Inbox); err != nil {
		return l, err
	}
	l.smtp, err = u.listenOn(ctx, "--smtp", u.config.SMTP)
	return l, err
}

func (u *environment) listenOn(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, failure(StatusAddress, "%s cannot be listened on, choose another address with %s: %w", address, flag, err)
	}
	u.onStop(func() { _ = l.Close() })
	return l, nil
}

func (u *environment) startDatabase(ctx context.Context, sockets string) (Databases, error) {
	if u.config.Database != "" {
		return existingDatabase(ctx, u.dir, u.config.Database)
	}
	log, err := os.OpenFile(u.dir.join("log", "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Databases{}, failure(StatusDirectory, "opening a log: %w", err)
	}
	u.onStop(func() { _ = log.Close() })
	server, err := cluster(u.dir, sockets, log)
	if err != nil {
		return Databases{}, err
	}
	if err := server.Init(ctx); err != nil {
		return Databases{}, failure(StatusDatabase, "%w", err)
	}
	kept, err := keep(ctx, u.config.Logger, "postgres", server)
	// The server of an `up` that was killed may still be shutting down.
	for tries := 0; errors.Is(err, postgres.ErrRunning) && tries < 50 && ctx.Err() == nil; tries++ {
		time.Sleep(200 * time.Millisecond)
		kept, err = keep(ctx, u.config.Logger, "postgres", server)
	}
	if err != nil {
		return Databases{}, failure(StatusDatabase, "%w", err)
	}
	u.onStop(kept.stop)
	return createDatabase(ctx, u.dir, server)
}

func (u *environment) startInbox(ctx context.Context, l listeners) error {
	file, token, err := u.dir.secret("sms-token")
	if err != nil {
		return err
	}
	u.env.SMSTokenFile = file
	register, registerToken, err := u.dir.secret("register-token")
	if err != nil {
		return err
	}
	u.env.RegisterURL, u.env.RegisterTokenFile = u.env.InboxURL+"/register", register
	if err := u.webhookKey(); err != nil {
		return err
	}
	box := inbox.New(token)
	u.onStop(serve(ctx, u.config.Logger, l.inbox, u.beside(box.Handler(), holders.Handler([]byte(registerToken), holders.Holders()))))
	u.onStop(box.ServeSMTP(ctx, l.smtp))
	return nil
}

// initialise writes the configuration, migrates, and runs the commands that
// make keys and certificates.
func (u *environment) initialise(ctx context.Context) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Written by `rubrica up` at each start; changes are lost.\n\n")
	if err := toml.NewEncoder(&text).Encode(u.config.Settings(u.env)); err != nil {
		return failure(StatusDirectory, "writing the configuration: %w", err)
	}
	// It names secrets and holds none: both processes read it.
	if err := u.dir.writeFor(0o644, "rubrica.toml", text.String()); err != nil {
		return err
	}
	if err := u.config.Migrate(ctx, u.env.Databases.Owner); err != nil {
		if errors.Is(err, ErrNewerSchema) {
			return failure(StatusNewerSchema, "%w", err)
		}
		return failure(StatusDatabase, "migrating the database: %w", err)
	}
	if err := letServicesIn(ctx, u.dir, u.env.Databases); err != nil {
		return err
	}
	if err := u.handOver(); err != nil {
		return err
	}
	for _, args := range u.config.Init {
		if err := u.command("init", args).once(ctx); err != nil {
			return failure(StatusService, "%w", err)
		}
	}
	if err := u.register(ctx); err != nil {
		return failure(StatusService, "registering the environment's own clients: %w", err)
	}
	if u.config.Registrar != "" { // who runs this reads it all the same, or is the same
		if err := u.accounts.registrar.take(u.env.OfficeCredentials); err != nil {
			return err
		}
	}
	return u.introduce()
}

// introduce writes who is believed about the log.
func (u *environment) introduce() error {
	if u.config.Trust == nil {
		return nil
	}
	files, err := u.config.Trust(u.env)
	if err != nil {
		return failure(StatusService, "introducing log and witness to each other: %w", err)
	}
	for path, content := range files {
		if err := u.dir.writeFor(0o644, filepath.Base(path), content); err != nil {
			return err
		}
	}
	// The witness's own directory was filled by whoever runs this.
	return u.accounts.witness.takeAll(u.env.WitnessDir)
}

func (u *environment) startSede(ctx context.Context, l net.Listener) error {
	id, secret, err := u.sedeCredentials()
	if err != nil {
		return failure(StatusService, "registering the demo sede: %w", err)
	}
	if err := u.tell(ctx, id); err != nil {
		return err
	}
	handler, err := sede.New(sede.Config{
		Service: u.env.PublicURL, ID: id, Secret: secret, Self: u.env.SedeURL, Inbox: u.env.InboxURL,
		Dir: u.dir.join("sede"), RootFile: u.env.RootFile, Logger: u.config.Logger,
	})
	if err != nil {
		return failure(StatusService, "starting the demo sede: %w", err)
	}
	u.onStop(serve(ctx, u.config.Logger, l, handler))
	return nil
}

// tell registers the sede's address once; a file says that it is done.
func (u *environment) tell(ctx context.Context, application string) error {
	const done = "sede-told"
	if _, err := os.Stat(u.dir.join(done)); u.config.Tell == nil || err == nil {
		return nil
	}
	if err := u.command("init", u.config.Tell(u.env, application)).once(ctx); err != nil {
		return err
	}
	return u.dir.writeFor(0o600, done, application+"\n")
}

func (u *environment) register(ctx context.Context) error {
	for _, r := range u.config.Register(u.env) {
		if _, err := os.Stat(r.File); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := u.command("init", r.Command).once(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (u *environment) sedeCredentials() (id, secret string, err error) {
	text, err := os.ReadFile(u.env.SedeCredentials)
	if err != nil {
		return "", "", fmt.Errorf("reading its credentials: %w", err)
	}
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(text, &client); err != nil {
		return "", "", fmt.Errorf("reading its credentials: %w", err)
	}
	return client.ID, client.Secret, nil
}

// serve answers on l until the returned function is called.
func serve(ctx context.Context, logger *slog.Logger, l net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with ErrServerClosed
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
	}
}

func (u *environment) demo(ctx context.Context) error {
	if len(u.config.Demo) == 0 {
		return nil
	}
	c := u.command("demo", u.config.Demo)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.path, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = u.config.Out, u.config.Out
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return failure(StatusDemo, "%w", err)
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		process.Stop(ctx, syscall.SIGTERM)
		return ctx.Err()
	}
	if err := process.Err(); err != nil {
		return failure(StatusDemo, "the signature of the demo failed (logs: %s): %w", u.dir.join("log"), err)
	}
	return nil
}

func (u *environment) announce() {
	fmt.Fprintf(u.config.Out, `
Rúbrica is up. Ctrl-C stops everything; starting again goes on with the same data.

  Signing service    %s
  Demo sede          %s
  Inbox (SMS, mail)  %s
`, u.env.PublicURL, u.env.SedeURL, u.env.InboxURL)
	if u.config.Registrar != "" {
		fmt.Fprintf(u.config.Out, "  Officers' desk     %s/mesa\n", u.env.RegistrarURL)
		fmt.Fprintf(u.config.Out, "  Certificate door   %s\n", u.env.CertificateURL)
		fmt.Fprintf(u.config.Out, "  Certificates       %s (password %s)\n", u.dir.join("registrar", "*.p12"), folderPassword)
	}
	if u.config.Auditor != "" {
		fmt.Fprintf(u.config.Out, "  Auditor's door     %s/auditoria\n", u.env.AuditorURL)
	}
	if u.config.Witness != "" {
		fmt.Fprintf(u.config.Out, "  Witness of the log %s\n", u.env.WitnessURL)
	}
	fmt.Fprintf(u.config.Out, "  Data and logs      %s\n", u.env.Dir)
	if u.config.Hint != nil {
		fmt.Fprintf(u.config.Out, "\n%s\n", u.config.Hint(u.env))
	}
}
