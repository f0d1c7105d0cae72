package audit

import (
	"iter"
	"runtime"
	"sync"
)

// chunk is how many records go from hand to hand at once.
const chunk = 256

// chunkOf is a part of the log with what was found in it, once done is closed.
type chunkOf[F any] struct {
	records []Record
	found   []F
	done    chan struct{}
}

// inOrder gives take each record in order with what examine found, which goes on
// for several at once, and while more are being read. It ends with the first
// error, of the records' or of take, when nothing reads any more.
func inOrder[F any](records iter.Seq2[Record, error], examine func(Record) F, take func(Record, F) error) error {
	workers := runtime.GOMAXPROCS(0)
	var (
		work    = make(chan *chunkOf[F], workers)
		order   = make(chan *chunkOf[F], 2*workers)
		enough  = make(chan struct{})
		failure error
		group   sync.WaitGroup
	)
	group.Go(func() {
		defer close(order)
		defer close(work)
		failure = inChunks(records, func(part []Record) bool {
			c := &chunkOf[F]{records: part, found: make([]F, len(part)), done: make(chan struct{})}
			select {
			case order <- c:
				work <- c // somebody takes it: workers end after this
				return true
			case <-enough:
				return false
			}
		})
	})
	for range workers {
		group.Go(func() {
			for c := range work {
				for i, r := range c.records {
					c.found[i] = examine(r)
				}
				close(c.done)
			}
		})
	}
	err := takeAll(order, take)
	close(enough)
	group.Wait()
	if err == nil {
		err = failure
	}
	return err
}

func takeAll[F any](order <-chan *chunkOf[F], take func(Record, F) error) error {
	for c := range order {
		<-c.done
		for i, r := range c.records {
			if err := take(r, c.found[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// inChunks passes records on until pass wants no more. What came before an error
// is passed on as well.
func inChunks(records iter.Seq2[Record, error], pass func([]Record) bool) error {
	part := make([]Record, 0, chunk)
	for r, err := range records {
		if err != nil {
			pass(part)
			return err
		}
		if part = append(part, r); len(part) == chunk {
			if !pass(part) {
				return nil
			}
			part = make([]Record, 0, chunk)
		}
	}
	pass(part)
	return nil
}
