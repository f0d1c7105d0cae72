package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const (
	crowd = 500 // at each door
	// households share a crowd: nobody has more than five requests open, after
	// which wrong passwords would lock.
	households = 100
)

// memory lets a crowd come to a signer at once, half of it with passwords, half
// with codes, and reads how much memory the signer has ever had. Who is turned
// away must be told to come back; any other answer fails the measurement.
func (k *Keys) memory(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "memory", signer.DefaultCost())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	knocking, err := t.knocking(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.settle(ctx, cheap()); err != nil {
		return nil, err
	}
	confirming, err := t.confirming(ctx)
	if err != nil {
		return nil, err
	}
	if err := later(); err != nil {
		return nil, err
	}
	process, err := s.signer(ctx, t.name)
	if err != nil {
		return nil, err
	}
	defer process.stop(ctx)
	ratio, err := k.identifyOverArgon2(ctx, t, process, knocking[:2])
	if err != nil {
		return nil, err
	}

	var calls []func() error
	for _, c := range knocking {
		calls = append(calls, func() error { _, err := t.identify(ctx, process.client, c.request, c.resident); return err })
	}
	for _, answer := range confirming {
		calls = append(calls, func() error { return confirm(ctx, process.client, answer) })
	}
	refused, err := storm(calls)
	if err != nil {
		return nil, err
	}
	peak, err := peak(process.PID)
	if err != nil {
		return nil, err
	}
	return []Figure{
		below("keys/memory_500_mib", peak, 1024, "MiB"),
		info("keys/refused_cleanly_of_500", float64(refused), "calls"),
		info("keys/identify_over_argon2", ratio, "ratio"),
	}, nil
}

// caller is somebody with a password at a request of theirs.
type caller struct {
	resident resident
	request  string
}

func (t *town) knocking(ctx context.Context) ([]caller, error) {
	residents, err := several(ctx, households, t.activate)
	if err != nil {
		return nil, err
	}
	callers := make([]caller, crowd)
	for i := range callers {
		callers[i].resident = residents[i%households]
		if callers[i].request, err = t.ask(ctx, callers[i].resident, 1); err != nil {
			return nil, err
		}
	}
	return callers, nil
}

func (t *town) confirming(ctx context.Context) ([]signer.Answer, error) {
	residents, err := several(ctx, households, t.enrol)
	if err != nil {
		return nil, err
	}
	answers := make([]signer.Answer, crowd)
	for i := range answers {
		if answers[i], err = t.ready(ctx, residents[i%households], 1); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func several(ctx context.Context, n int, enrol func(context.Context) (resident, error)) ([]resident, error) {
	residents := make([]resident, n)
	for i := range residents {
		var err error
		if residents[i], err = enrol(ctx); err != nil {
			return nil, fmt.Errorf("enrolling: %w", err)
		}
	}
	return residents, nil
}

// storm makes all calls at once and counts those that were told to come back.
func storm(calls []func() error) (refused int, err error) {
	outcomes := make([]error, len(calls))
	start := make(chan struct{})
	var group sync.WaitGroup
	for i, call := range calls {
		group.Go(func() { <-start; outcomes[i] = call() })
	}
	close(start)
	group.Wait()
	var unclean []error
	for _, outcome := range outcomes {
		var r *policies.Refusal
		switch {
		case outcome == nil:
		case errors.As(outcome, &r) && r.Code == policies.Busy && r.RetryAfter > 0:
			refused++
		default:
			unclean = append(unclean, outcome)
		}
	}
	if len(unclean) > 0 {
		return refused, fmt.Errorf("%d of %d calls failed otherwise than by being told to come back, such as: %w", len(unclean), len(calls), unclean[0])
	}
	return refused, nil
}

// peak is the most memory that a process has ever had resident, in MiB
// (proc_pid_status(5), VmHWM).
func peak(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading a process's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory a process has had")
}

// identifyOverArgon2 is what checking a password takes beside what it must:
// records and their seals, counting, the ticket, the log.
func (k *Keys) identifyOverArgon2(ctx context.Context, t *town, process signerProcess, callers []caller) (float64, error) {
	cost, salt := signer.DefaultCost(), make([]byte, 16)
	rand.Read(salt)
	var ratio []float64
	for i := range 3 * k.Rounds {
		floor, err := seconds(func() error {
			argon2.IDKey([]byte(password), salt, cost.Passes, cost.MemoryKiB, cost.Lanes, 32)
			return nil
		})
		if err != nil {
			return 0, err
		}
		c := callers[i%len(callers)]
		whole, err := seconds(func() error { _, err := t.identify(ctx, process.client, c.request, c.resident); return err })
		if err != nil {
			return 0, fmt.Errorf("identifying: %w", err)
		}
		ratio = append(ratio, whole/floor)
	}
	return median(ratio), nil
}
