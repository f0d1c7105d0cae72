package webhooks

import (
	"context"
	"sync"
)

// seats are how many one trip takes.
const seats = 200

// bus carries questions to the database together: those that come while one
// trip is under way wait for the next. Where few come, nobody waits; where many
// come, a trip costs little more than one question.
type bus[K, V any] struct {
	// carry answers all of them, in their order, or none.
	carry func(ctx context.Context, all []K) ([]V, error)

	mu       sync.Mutex
	waiting  []ride[K, V]
	underWay bool
}

type ride[K, V any] struct {
	question K
	answered chan<- answered[V]
}

type answered[V any] struct {
	value V
	err   error
}

// take waits for an answer.
func (b *bus[K, V]) take(ctx context.Context, question K) (V, error) {
	answer := make(chan answered[V], 1)
	b.mu.Lock()
	b.waiting = append(b.waiting, ride[K, V]{question, answer})
	if !b.underWay {
		b.underWay = true
		go b.drive(context.WithoutCancel(ctx)) // others' questions do not end with this one's
	}
	b.mu.Unlock()
	select {
	case a := <-answer:
		return a.value, a.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// drive goes until nobody waits.
func (b *bus[K, V]) drive(ctx context.Context) {
	for {
		b.mu.Lock()
		rides := b.waiting[:min(len(b.waiting), seats)]
		b.waiting = b.waiting[len(rides):]
		if len(rides) == 0 {
			b.waiting, b.underWay = nil, false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		questions := make([]K, len(rides))
		for i, r := range rides {
			questions[i] = r.question
		}
		values, err := b.trip(ctx, questions)
		for i, r := range rides {
			a := answered[V]{err: err}
			if err == nil {
				a.value = values[i]
			}
			r.answered <- a
		}
	}
}

func (b *bus[K, V]) trip(ctx context.Context, questions []K) ([]V, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return b.carry(ctx, questions)
}
