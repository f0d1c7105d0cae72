package bench

import (
	"fmt"
	"time"
)

// spent is what one of several alike took, in seconds.
type spent struct{ cpu, wall float64 }

// spend does n of something and returns what one of them took of this process
// and of the database's.
func spend(n int, do func() error) (spent, error) {
	before, err := processorTime()
	if err != nil {
		return spent{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return spent{}, err
	}
	elapsed := time.Since(began)
	after, err := processorTime()
	return spent{cpu: (after - before).Seconds() / float64(n), wall: elapsed.Seconds() / float64(n)}, err
}

// processorTime is that of this process and of the database's.
func processorTime() (time.Duration, error) {
	database, err := singleThreaded()
	return own() + database, err
}

// spending is what was spent where there are so many, by round.
type spending struct {
	size      int
	cpu, wall []float64
}

func (s *spending) add(one spent) { s.cpu, s.wall = append(s.cpu, one.cpu), append(s.wall, one.wall) }

// against holds what was spent at each size against the smallest, which comes
// first. The processor's time is judged: the clock's is also the disk's and that
// of whatever else the machine does.
func against(name string, all []spending, judge func(name string, ratio float64) Figure) []Figure {
	at := func(s spending) string { return fmt.Sprintf("%s_%d", name, s.size) }
	smallest := all[0]
	figures := []Figure{
		info(at(smallest)+"_cpu", 1000*median(smallest.cpu), "ms"),
		info(at(smallest)+"_wall", 1000*median(smallest.wall), "ms"),
	}
	for _, s := range all {
		figures = append(figures,
			judge(at(s), median(ratios(s.cpu, smallest.cpu))),
			info(at(s)+"_elapsed", median(ratios(s.wall, smallest.wall)), "ratio"))
	}
	return figures
}

func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}
