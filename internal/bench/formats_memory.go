package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
)

// ownPeak is the most memory, in MiB, that this process has resident while it
// does something.
func ownPeak(do func() error) (float64, error) {
	debug.FreeOSMemory()
	// 5 resets VmHWM (proc_pid_clear_refs(5)).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return 0, fmt.Errorf("forgetting how much memory this process has had: %w", err)
	}
	if err := do(); err != nil {
		return 0, err
	}
	return peak(os.Getpid())
}

// workerGrowth is how much more memory a document worker has for the one document
// than for the other, at its most.
func (f *Formats) workerGrowth(ctx context.Context, small, big *documents.File) (float64, error) {
	var grown []float64
	for range f.Rounds {
		little, err := f.workerPeak(ctx, small)
		if err != nil {
			return 0, err
		}
		much, err := f.workerPeak(ctx, big)
		if err != nil {
			return 0, err
		}
		grown = append(grown, much-little)
	}
	return median(grown), nil
}

// workerPeak watches a child while it prepares. What it takes in its last moments
// may be missed, of the small document more than of the large one: the growth
// comes out too large rather than too small.
func (f *Formats) workerPeak(ctx context.Context, in *documents.File) (float64, error) {
	before, err := children()
	if err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { _, err := f.worker.Prepare(ctx, in, options()); done <- err }()
	child, most := 0, 0.0
	for {
		select {
		case err := <-done:
			if err == nil && most == 0 {
				err = errors.New("the document worker was gone before it was seen")
			}
			return most, err
		case <-time.After(200 * time.Microsecond):
		}
		if child == 0 {
			now, err := children()
			if err != nil {
				return 0, err
			}
			for pid := range now {
				if !before[pid] {
					child = pid
				}
			}
			continue
		}
		// Before it becomes the worker, it has the memory of this process: the
		// last value counts. After its end there is none.
		if value, err := peak(child); err == nil {
			most = value
		}
	}
}

// children are the processes right under this one.
func children() (map[int]bool, error) {
	table, err := processes()
	if err != nil {
		return nil, err
	}
	own := map[int]bool{}
	for _, p := range table {
		if p.parent == os.Getpid() {
			own[p.pid] = true
		}
	}
	return own, nil
}
