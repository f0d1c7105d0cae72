package bench

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/signer"
)

// Spine measures whole ceremonies, from the back end's request to the signed
// PDF, over HTTP and the pages, in an environment that is up.
type Spine struct {
	World *thread.World
	// Environment is the process under which the service's processes run.
	Environment int
	Token       *hsm.Token
	KEK         string
	Algorithm   string
	Name        string
	PDF         []byte
	Rounds      int // each with one ceremony a citizen
	Citizens    int
}

// Measure implements House.
func (s *Spine) Measure(ctx context.Context) ([]Figure, error) {
	citizens, err := s.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing citizens: %w", err)
	}
	var cpu, drawn, floor, ratio, drawnRatio, wall []float64
	for range s.Rounds {
		f, err := s.floor(ctx)
		if err != nil {
			return nil, fmt.Errorf("measuring the floor: %w", err)
		}
		plain, seconds, err := s.round(ctx, citizens, thread.Walk{})
		if err != nil {
			return nil, err
		}
		looked, _, err := s.round(ctx, citizens, thread.Walk{Look: true})
		if err != nil {
			return nil, err
		}
		floor, cpu, drawn, wall = append(floor, f), append(cpu, plain), append(drawn, looked), append(wall, 1/seconds)
		ratio, drawnRatio = append(ratio, plain/f), append(drawnRatio, looked/f)
	}
	return []Figure{
		info("spine/ceremonies_per_second", median(wall), "1/s"),
		info("spine/cpu_per_ceremony", 1000*median(cpu), "ms"),
		info("spine/cpu_per_ceremony_with_page_image", 1000*median(drawn), "ms"),
		info("spine/cpu_floor", 1000*median(floor), "ms"),
		below("spine/ceremony_over_floor", median(ratio), 1.5, "ratio"),
		info("spine/ceremony_with_page_image_over_floor", median(drawnRatio), "ratio"),
	}, nil
}

// prepare brings citizens to a certificate: what is measured is signing.
func (s *Spine) prepare(ctx context.Context) ([]*thread.Citizen, error) {
	citizens := make([]*thread.Citizen, s.Citizens)
	for i := range citizens {
		c, err := s.World.NewCitizen()
		if err != nil {
			return nil, err
		}
		if err := c.Register(ctx); err != nil {
			return nil, err
		}
		if err := c.Activate(ctx); err != nil {
			return nil, err
		}
		if err := s.ceremony(ctx, c, thread.Walk{}); err != nil {
			return nil, err
		}
		citizens[i] = c
	}
	return citizens, nil
}

// ceremony is one signature from request to result.
func (s *Spine) ceremony(ctx context.Context, c *thread.Citizen, walk thread.Walk) error {
	request, err := s.World.Ask(ctx, c, "Solicitud de ayuda",
		client.NewDocument{Name: s.Name, MediaType: "application/pdf", Format: "pades", Content: &s.PDF})
	if err != nil {
		return err
	}
	if err := c.Sign(ctx, request.SigningURL, walk); err != nil {
		return err
	}
	_, err = s.World.Result(ctx, request.ID, 1)
	return err
}

// parallel is how many ceremonies go on at once.
const parallel = 2

// round runs one ceremony a citizen, some at a time, and returns processor and
// elapsed seconds for one.
func (s *Spine) round(ctx context.Context, citizens []*thread.Citizen, walk thread.Walk) (cpu, elapsed float64, err error) {
	before, err := descendants(s.Environment)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	work := make(chan *thread.Citizen)
	failures := make(chan error, len(citizens))
	var group sync.WaitGroup
	for range parallel {
		group.Go(func() {
			for c := range work {
				failures <- s.ceremony(ctx, c, walk)
			}
		})
	}
	for _, c := range citizens {
		work <- c
	}
	close(work)
	group.Wait()
	close(failures)
	for failure := range failures {
		if failure != nil {
			return 0, 0, failure
		}
	}
	elapsed = time.Since(began).Seconds()
	after, err := descendants(s.Environment)
	n := float64(len(citizens))
	return (after - before).Seconds() / n, elapsed / n, err
}

// floor is the processor time of what no design can leave out: one argon2id of
// the configured cost and one C_Sign, as many at a time as a round has, since
// both compete for the same memory.
func (s *Spine) floor(ctx context.Context) (float64, error) {
	public, wrapped, err := s.Token.GenerateWrapped(ctx, s.KEK, s.Algorithm)
	if err != nil {
		return 0, err
	}
	before := own()
	var group errgroup.Group
	for range parallel {
		group.Go(func() error {
			return s.Token.WithWrapped(ctx, s.KEK, s.Algorithm, public, wrapped, bare)
		})
	}
	err = group.Wait()
	return (own() - before).Seconds() / (parallel * bareTimes), err
}

// bareTimes is how often bare does it, so that one unwrapping does not show.
const bareTimes = 8

func bare(key crypto.Signer) error {
	cost, salt := signer.DefaultCost(), make([]byte, 16)
	rand.Read(salt)
	digest := sha256.Sum256(salt)
	for range bareTimes {
		argon2.IDKey([]byte("contraseña de la medida"), salt, cost.Passes, cost.MemoryKiB, cost.Lanes, 32)
		if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// own is the processor time of this process.
func own() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
