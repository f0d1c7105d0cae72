package bench

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/internal/child"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// front is the public side over a register, as deployments run it, and people
// who have logged in to it.
type front struct {
	*register

	signer  signerProcess
	api     *child.Process
	address string
	people  []*thread.Browser
	slowest []float64 // p99 of each round, in seconds
}

// crowded has as many people look at their own pages at once, in the smallest
// register and in the largest, in turns.
func (c *Citizen) crowded(ctx context.Context, registers []*register) ([]Figure, error) {
	fronts := make([]*front, len(registers))
	for i, r := range registers {
		f, err := r.front(ctx, fmt.Sprintf("127.0.0.1:%d", 8096+i))
		if err != nil {
			return nil, fmt.Errorf("opening to %d citizens: %w", r.size, err)
		}
		defer f.stop(ctx)
		fronts[i] = f
	}
	for round := range c.Rounds + 1 {
		for turn := range fronts {
			f := fronts[(turn+round)%len(fronts)]
			slowest, err := f.look(ctx)
			if err != nil {
				return nil, fmt.Errorf("%d people among %d: %w", len(f.people), f.size, err)
			}
			if round > 0 {
				f.slowest = append(f.slowest, slowest)
			}
		}
	}
	small, large := fronts[0], fronts[len(fronts)-1]
	at := func(f *front) string { return fmt.Sprintf("citizen/register_p99_of_%d_among_%d", onlookers, f.size) }
	return []Figure{
		info(at(small)+"_ms", 1000*median(small.slowest), "ms"),
		info(at(large)+"_ms", 1000*median(large.slowest), "ms"),
		below(at(large), median(ratios(large.slowest, small.slowest)), 1.25, "ratio"),
	}, nil
}

// front starts signer and public side, and has people log in. Their passwords
// cost next to nothing: an argon2id would be all that is measured.
func (r *register) front(ctx context.Context, listen string) (f *front, err error) {
	f = &front{register: r, address: "http://" + listen}
	defer func() {
		if err != nil {
			f.stop(ctx)
		}
	}()
	if f.signer, err = r.signer(ctx, r.name, "--argon2-memory", "1", "--argon2-passes", "1"); err != nil {
		return f, err
	}
	cmd := r.rubrica(context.WithoutCancel(ctx), "api", "--database", r.url("rubrica_api", r.name), "--listen", listen,
		"--public-url", f.address, "--signer-socket", filepath.Join(r.sockets, r.name+".sock"))
	cmd.Stdout, cmd.Stderr = r.log, r.log
	if f.api, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		return f, err
	}
	for deadline := time.Now().Add(30 * time.Second); glanceAt(ctx, http.DefaultClient, f.address+"/healthz") != nil; {
		if time.Now().After(deadline) {
			return f, fmt.Errorf("the public side does not come up (its log: %s)", r.log.Name())
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, resident := range r.residents[:onlookers] {
		b, err := thread.NewBrowser()
		if err != nil {
			return f, err
		}
		if err := b.Open(ctx, f.address+"/mi/entrar?ir=/mi/firmas"); err != nil {
			return f, err
		}
		if err := b.Submit(ctx, map[string]string{"identifier": resident.identifier, "password": password}); err != nil {
			return f, err
		}
		if b.Status() != http.StatusOK || b.URL().Path != "/mi/firmas" {
			return f, fmt.Errorf("logging in: at %s (status %d): %s", b.URL().Path, b.Status(), b.Text())
		}
		f.people = append(f.people, b)
	}
	return f, nil
}

// look has everybody look at their signatures, again and again, and returns the
// 99th percentile of the seconds that an answer took.
func (f *front) look(ctx context.Context) (float64, error) {
	took := make([]float64, len(f.people)*glances)
	group, ctx := errgroup.WithContext(ctx)
	for person, b := range f.people {
		group.Go(func() error {
			for glance := range glances {
				began := time.Now()
				if err := b.Open(ctx, f.address+"/mi/firmas"); err != nil {
					return err
				}
				if b.Status() != http.StatusOK || b.URL().Path != "/mi/firmas" {
					return fmt.Errorf("at %s, status %d", b.URL().Path, b.Status())
				}
				took[person*glances+glance] = time.Since(began).Seconds()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	slices.Sort(took)
	return took[len(took)*99/100-1], nil
}

func (f *front) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if f.api != nil {
		f.api.Stop(ctx, syscall.SIGTERM)
	}
	if f.signer.Process != nil {
		f.signer.stop(ctx)
	}
}
