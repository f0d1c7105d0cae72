// Command rubrica is the whole service in one binary: the public side (api),
// the signature activation module (signer), and what operators, officers and
// developers do by hand. It holds no logic: flags, wiring, signals.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/hsm"
)

// CLI is the command line. Each command is a type with a method
// Run(context.Context) error; the comments on its fields are the manual of the
// configuration file, where [api] holds the settings of the command api.
type CLI struct {
	Globals

	Up     UpCommand     `cmd:"" production:"never" help:"Run everything on this machine, for development: database, token, service, SMS and mail inbox, demo sede."`
	Doctor DoctorCommand `cmd:"" help:"Say what this machine lacks to run Rúbrica, and the command that mends it."`

	API     APICommand     `cmd:"" name:"api" help:"Run the public side: HTTP, pages, documents, mail."`
	Signer  SignerCommand  `cmd:"" help:"Run the signature activation module, the only process with the HSM's PIN."`
	Migrate MigrateCommand `cmd:"" help:"Bring the database up to this version."`

	CA  CACommand  `cmd:"" name:"ca" help:"The certification authority: ceremonies of its keys, and how it stands."`
	HSM HSMCommand `cmd:"" name:"hsm" help:"What a PKCS#11 token can do."`
	Key KeyCommand `cmd:"" help:"Secret keys of the token, and where citizens' keys are kept."`

	Verify VerifyCommand `cmd:"" help:"Say whether the signatures of a file are valid, and what that rests on."`
	Extend ExtendCommand `cmd:"" help:"Bring the signatures of a file to a higher level, or renew its archive."`

	Demo DemoCommand `cmd:"" production:"never" help:"Carry one signature through without a hand, in an environment that is up."`

	Bench   BenchCommand   `cmd:"" production:"never" help:"Measure the service against limits taken in the same run."`
	Measure MeasureCommand `cmd:"" hidden:"" production:"never"`

	Audit   AuditCommand   `cmd:"" help:"The signature log: verify it, copy it, name it, recover it."`
	Witness WitnessCommand `cmd:"" help:"A witness of signature logs, apart from everything else."`
	Auditor AuditorCommand `cmd:"" help:"The auditor's door to the signature log, and who may enter by it."`

	Registrar RegistrarCommand `cmd:"" help:"The registration authority's process: the officers' desk, and the door where certificates are shown."`
	Officer   OfficerCommand   `cmd:"" help:"Who works at the officers' desk."`

	App     AppCommand     `cmd:"" help:"Applications that ask for signatures, and offices."`
	Webhook WebhookCommand `cmd:"" help:"Where applications are told of what becomes of their requests."`
	Citizen CitizenCommand `cmd:"" help:"Citizens, as an office registers them."`
	Office  OfficeCommand  `cmd:"" help:"The list in which citizens find an office."`
	Letter  LetterCommand  `cmd:"" help:"Invitation letters that a post room prints."`
	Card    CardCommand    `cmd:"" help:"Municipal cards."`

	Pages PagesCommand `cmd:"" help:"Write every page in every state and language to a directory, for review."`
}

// Globals are the settings of all commands.
type Globals struct {
	// Config is one TOML file. A flag wins over the environment, the
	// environment over the file. A key that no command knows is fatal.
	Config kong.ConfigFlag `help:"Configuration file (TOML)." placeholder:"FILE" env:"RUBRICA_CONFIG"`
	// Mode is "production" unless said otherwise. In production, whatever
	// belongs to the development environment is refused at the start.
	Mode string `help:"production (the default) or development." enum:",production,development" default:"" env:"RUBRICA_MODE"`
	// Version prints the version and ends.
	Version kong.VersionFlag `help:"Print the version."`
}

// documentWorker is the hidden command of the short-lived child that parses
// documents. It is looked for before anything else: it starts once a document.
const documentWorker = "document-worker"

func main() {
	if len(os.Args) == 2 && os.Args[1] == documentWorker {
		os.Exit(documents.Main(os.Stdin, os.Stdout))
	}
	// The second Ctrl-C ends the program at once: stop gives the signal back.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	os.Exit(run(ctx, os.Args[1:]))
}

// statusPIN is the exit status for a PIN that the token refuses: a supervisor
// must not start the process again, since tokens lock after a few wrong tries.
const statusPIN = 77 // EX_NOPERM, sysexits(3)

// run executes one command line and returns the exit status: 0, 1 for an error
// without a status of its own, 80 for a command line that makes no sense.
func run(ctx context.Context, args []string) int {
	err := execute(ctx, args)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "rubrica:", err)
	if told := words(err, locale()); told != "" {
		fmt.Fprintln(os.Stderr, told)
	}
	if errors.Is(err, hsm.ErrPIN) {
		return statusPIN
	}
	var status interface{ ExitCode() int }
	if errors.As(err, &status) {
		return status.ExitCode()
	}
	return 1
}

func execute(ctx context.Context, args []string) error {
	var cli CLI
	var file tomlFile
	parser, err := newParser(&cli, &file)
	if err != nil {
		return fmt.Errorf("reading the command line's own definition: %w", err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	if err := checkMode(cli.Mode, command, file); err != nil {
		return err
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(sumSettings(command))
	return command.Run(&cli.Globals)
}

// newParser knows where settings come from. The configuration file, if one is
// given, is left in file.
func newParser(cli any, file *tomlFile) (*kong.Kong, error) {
	load := func(r io.Reader) (kong.Resolver, error) {
		var err error
		*file, err = loadTOML(r)
		return *file, err
	}
	return kong.New(cli,
		kong.Name("rubrica"),
		kong.Description("Rúbrica, a cloud signature service for public administration."),
		kong.Vars{"version": version(), "wrap": defaultWrap},
		kong.Configuration(load),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
