package webhooks

import (
	"context"
	"sync"
	"time"
)

// widest is how many calls of one application are under way at once, if it
// answers within fair. A slower one gets fewer, down to one: none can have more
// than so many seconds of this process's work waiting for it.
const (
	widest = 16
	fair   = time.Second
)

// waiting is how many wait in memory for each of those under way.
const waiting = 8

// lanes keep applications out of each other's way.
type lanes struct {
	mu  sync.Mutex
	all map[string]*lane
	now func() time.Time
}

// lane is one application's.
type lane struct {
	under   int                    // calls under way
	queue   []chan<- time.Duration // of those who wait in memory
	average time.Duration          // of an answer, the last ones counting most
	turn    time.Time              // when the last one who was sent away may come back
}

func (l *lane) width() int {
	if l.average <= fair {
		return widest
	}
	return max(1, int(widest*fair/l.average))
}

// enter waits for a place for a call of an application. Where too many wait
// already, it gives the time after which to come back: the backlog of one
// application must fill neither the memory nor the queue's workers.
func (ls *lanes) enter(ctx context.Context, application string) (leave func(), away time.Duration, err error) {
	ls.mu.Lock()
	l := ls.all[application]
	if l == nil {
		l = &lane{}
		ls.all[application] = l
	}
	if l.under < l.width() {
		l.under++
		ls.mu.Unlock()
		return ls.leaving(application, l), 0, nil
	}
	if len(l.queue) >= waiting*l.width() {
		away = l.sendAway(ls.now())
		ls.mu.Unlock()
		return nil, away, nil
	}
	turn := make(chan time.Duration, 1)
	l.queue = append(l.queue, turn)
	ls.mu.Unlock()
	select {
	case away := <-turn:
		if away > 0 {
			return nil, away, nil
		}
		return ls.leaving(application, l), 0, nil
	case <-ctx.Done():
		ls.forgo(application, l, turn)
		return nil, 0, ctx.Err()
	}
}

// Who is sent away comes back when it is likely to be its turn, but not later
// than the receiver may have become quick again.
const (
	soonest = 100 * time.Millisecond
	latest  = 5 * time.Minute
)

func (l *lane) sendAway(now time.Time) time.Duration {
	step := l.average / time.Duration(l.width())
	if l.turn.Before(now.Add(soonest)) {
		l.turn = now.Add(soonest)
	}
	if l.turn = l.turn.Add(step); l.turn.After(now.Add(latest)) {
		l.turn = now.Add(latest)
	}
	return l.turn.Sub(now)
}

// leaving is what whoever got a place ends with.
func (ls *lanes) leaving(application string, l *lane) func() {
	began := ls.now()
	return func() {
		ls.mu.Lock()
		defer ls.mu.Unlock()
		l.average += (ls.now().Sub(began) - l.average) / 4
		ls.pass(application, l)
	}
}

// pass frees one place and lets in whoever there is room for. Of a lane that has
// become narrow, those are sent away who would wait for long.
func (ls *lanes) pass(application string, l *lane) {
	for l.under--; len(l.queue) > 0 && l.under < l.width(); l.under++ {
		l.queue[0] <- 0
		l.queue = l.queue[1:]
	}
	for last := len(l.queue) - 1; last >= waiting*l.width(); last-- {
		l.queue[last] <- l.sendAway(ls.now())
		l.queue = l.queue[:last]
	}
	if l.under == 0 && l.average <= fair {
		delete(ls.all, application) // what is known of a slow one is remembered
	}
}

// forgo takes back a wait, or passes on the place that came of it meanwhile.
func (ls *lanes) forgo(application string, l *lane, turn chan time.Duration) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i, t := range l.queue {
		if t == turn {
			l.queue = append(l.queue[:i:i], l.queue[i+1:]...)
			return
		}
	}
	if <-turn == 0 {
		ls.pass(application, l)
	}
}
