package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/rubrica-firma/rubrica/audit/witness"
)

// WitnessCommand is a witness of signature logs, this service's or anybody's
// (C2SP tlog-witness). It is worth something where the log's owner has no hand
// in it: on another machine, of other people. It needs neither database nor
// token.
type WitnessCommand struct {
	Init   WitnessInitCommand   `cmd:"" help:"Make a witness: its key, and an empty memory."`
	Serve  WitnessServeCommand  `cmd:"" help:"Cosign the checkpoints of logs that only grow."`
	Status WitnessStatusCommand `cmd:"" help:"Say what a witness has cosigned. Exit status 1: a log has forked."`
}

// WitnessInitCommand makes a witness in a directory.
type WitnessInitCommand struct {
	Dir string `help:"Directory of the witness, which is made." required:"" type:"path"`
	// Name is in every cosignature. It is an address without a scheme, under
	// which nothing need be reachable.
	Name string `help:"Name of the witness, such as witness.example.es/w1." required:""`
	URL  string `name:"url" help:"Where logs will reach it, for the line that is printed." placeholder:"https://HOST"`
}

// Run prints the line for the policy files of those who believe this witness.
func (c *WitnessInitCommand) Run() error {
	vkey, err := witness.Init(c.Dir, c.Name)
	if err != nil {
		return err
	}
	line := "witness " + c.Name + " " + vkey
	if c.URL != "" {
		line += " " + c.URL
	}
	fmt.Println(line)
	return nil
}

// WitnessServeCommand runs a witness. At SIGHUP it reads the list of logs and
// the TLS certificate again.
type WitnessServeCommand struct {
	Dir    string `help:"Directory that witness init made." required:"" type:"path"`
	Listen string `help:"Address to listen on." default:"127.0.0.1:8091" placeholder:"HOST:PORT"`
	// Logs has a line "log VKEY" for each log, as a C2SP policy has; a policy
	// file will do.
	Logs string `help:"File with the logs to watch: lines log VKEY." required:"" type:"path"`
	// TLSCertificate and TLSKey are for a witness without a proxy before it.
	TLSCertificate string `name:"tls-certificate" help:"Certificate, with its chain (PEM). Without: plain HTTP." type:"path"`
	TLSKey         string `name:"tls-key" help:"Its key (PEM)." type:"path"`
	// Rate is generous for logs, which ask every few seconds. Behind a proxy all
	// requests come from its address.
	Rate float64 `help:"Requests that each address may make in a second." default:"10"`
}

// Run serves until it is told to end.
func (c *WitnessServeCommand) Run(ctx context.Context) (err error) {
	if (c.TLSCertificate == "") != (c.TLSKey == "") {
		return errors.New("--tls-certificate and --tls-key go together")
	}
	if c.Rate <= 0 {
		return errors.New("--rate must be more than 0")
	}
	logs, err := c.readLogs()
	if err != nil {
		return err
	}
	w, err := witness.Open(witness.Config{Dir: c.Dir, Logs: logs, Now: time.Now, Logger: slog.Default()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	server := &http.Server{
		Handler: w.Handler(c.Rate), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	certificate := &atomic.Pointer[tls.Certificate]{}
	if c.TLSCertificate != "" {
		if err := c.readCertificate(certificate); err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate.Load(), nil },
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	slog.InfoContext(ctx, "witness_started", "listen", listener.Addr().String(), "tls", server.TLSConfig != nil,
		"witness", w.VerifierKey(), "logs", logs.Origins())
	defer c.reloadAtHangup(ctx, w, certificate)()
	return serveUntil(ctx, server, listener)
}

// serveUntil serves until the context ends, and lets what was begun be done.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			served <- server.ServeTLS(listener, "", "")
			return
		}
		served <- server.Serve(listener)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}

func (c *WitnessServeCommand) readLogs() (witness.Logs, error) {
	text, err := os.ReadFile(c.Logs)
	if err != nil {
		return witness.Logs{}, fmt.Errorf("reading the list of logs: %w", err)
	}
	logs, err := witness.ParseLogs(text)
	if err != nil {
		return witness.Logs{}, fmt.Errorf("reading %s: %w", c.Logs, err)
	}
	return logs, nil
}

func (c *WitnessServeCommand) readCertificate(into *atomic.Pointer[tls.Certificate]) error {
	if c.TLSCertificate == "" {
		return nil
	}
	read, err := tls.LoadX509KeyPair(c.TLSCertificate, c.TLSKey)
	if err != nil {
		return fmt.Errorf("reading the TLS certificate: %w", err)
	}
	into.Store(&read)
	return nil
}

// reloadAtHangup reads the files again when asked. What cannot be read stays as
// it was. It returns what ends it.
func (c *WitnessServeCommand) reloadAtHangup(ctx context.Context, w *witness.Witness, certificate *atomic.Pointer[tls.Certificate]) func() {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangup {
			logs, err := c.readLogs()
			if err == nil {
				w.Watch(logs)
			}
			if err := errors.Join(err, c.readCertificate(certificate)); err != nil {
				slog.ErrorContext(ctx, "witness_not_reloaded", "error", err)
				continue
			}
			slog.InfoContext(ctx, "witness_reloaded", "logs", logs.Origins())
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(hangup)
		<-done
	}
}

// WitnessStatusCommand reads a witness's memory, whether it runs or not.
type WitnessStatusCommand struct {
	Dir string `help:"Directory that witness init made." required:"" type:"path"`
}

// errForked is the end of a status that found a fork.
var errForked = errors.New("a log has signed two pasts: the evidence is in forks/fork-*.json")

// Run prints the logs.
func (c *WitnessStatusCommand) Run() error {
	report, err := witness.ReadReport(c.Dir)
	if err != nil {
		return err
	}
	if err := drawWitness(os.Stdout, report); err != nil {
		return err
	}
	if report.Forks > 0 {
		return errForked
	}
	return nil
}

func drawWitness(out io.Writer, r witness.Report) error {
	fmt.Fprintf(out, "witness: %s\n\n", r.Witness)
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "log\tentries\troot\tcosigned\t")
	for _, l := range r.Logs {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t\n", l.Origin, l.Size, l.Root, l.CosignedAt.UTC().Format(time.RFC3339))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	fmt.Fprintf(out, "\nevidence of forks: %d; of consistency that was not shown: %d\n", r.Forks, r.Unproven)
	return nil
}
