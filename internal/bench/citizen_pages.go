package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// onlookers is how many people look at pages at once, and glances how often each
// does in a round.
const (
	onlookers = 200
	glances   = 10
)

// pages measures the page on which a signature begins, and what a browser loads
// to show the one on which it is confirmed.
func (c *Citizen) pages(ctx context.Context) ([]Figure, error) {
	w := c.Spine.World
	person, err := w.NewCitizen()
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{person.Register, person.Activate} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	request, err := w.Ask(ctx, person, "Solicitud de ayuda",
		client.NewDocument{Name: c.Spine.Name, MediaType: "application/pdf", Format: "pades", Content: &c.Spine.PDF})
	if err != nil {
		return nil, err
	}
	var rates, page, bare, ratio []float64
	for range c.Rounds {
		floor, _, err := watch(ctx, w.Service+"/healthz")
		if err != nil {
			return nil, err
		}
		slowest, rate, err := watch(ctx, request.SigningURL)
		if err != nil {
			return nil, err
		}
		rates, page, bare, ratio = append(rates, rate), append(page, slowest), append(bare, floor), append(ratio, slowest/floor)
	}
	var weight int
	if err := person.Sign(ctx, request.SigningURL, thread.Walk{Weigh: &weight}); err != nil {
		return nil, err
	}
	return []Figure{
		info("citizen/page_rate", median(rates), "1/s"),
		info("citizen/page_p99_of_200", 1000*median(page), "ms"),
		info("citizen/page_p99_of_200_floor", 1000*median(bare), "ms"),
		below("citizen/page_p99_over_floor", median(ratio), 8, "ratio"),
		below("citizen/signing_page_size", float64(weight)/1000, 60, "KB"),
	}, nil
}

// watch has onlookers ask for an address, and returns the 99th percentile of the
// seconds that an answer took, and answers a second.
func watch(ctx context.Context, address string) (slowest, rate float64, err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: onlookers}
	defer transport.CloseIdleConnections()
	browser := &http.Client{Transport: transport}
	took := make([]float64, onlookers*glances)
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for person := range onlookers {
		group.Go(func() error {
			for glance := range glances {
				began := time.Now()
				if err := glanceAt(ctx, browser, address); err != nil {
					return err
				}
				took[person*glances+glance] = time.Since(began).Seconds()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	elapsed := time.Since(began).Seconds()
	slices.Sort(took)
	return took[len(took)*99/100-1], float64(len(took)) / elapsed, nil
}

func glanceAt(ctx context.Context, browser *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", address, err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", address, err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for %s: status %d: %w", address, resp.StatusCode, err)
	}
	return nil
}
