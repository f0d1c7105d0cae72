package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat, USER_HZ: a constant of the kernel's
// interface on every Linux that Go supports.
const tick = time.Second / 100

// process is a line of the process table.
type process struct {
	pid, parent int
	cpu         time.Duration // of itself and of children that have ended
}

// descendants sums the processor time of all processes under root but root
// itself and this one: neither the development environment's inbox and sede
// nor who measures belong to the service.
func descendants(root int) (time.Duration, error) {
	table, err := processes()
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, p := range offspring(table, root) {
		total += p.cpu
	}
	return total, nil
}

// singleThreaded is the same of the processes under this one, to the nanosecond
// and of their first threads, of which PostgreSQL's processes have no more.
func singleThreaded() (time.Duration, error) {
	table, err := processes()
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, p := range offspring(table, os.Getpid()) {
		// schedstat: time on the processor, time waiting for it, timeslices.
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", p.pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		on, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(on, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the processor time of a process: %w", err)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// offspring are the processes under root but root itself and this one.
func offspring(table []process, root int) []process {
	var out []process
	family := map[int]bool{root: true}
	for grown := true; grown; {
		grown = false
		for _, p := range table {
			if !family[p.parent] || family[p.pid] || p.pid == os.Getpid() {
				continue
			}
			family[p.pid], grown = true, true
			out = append(out, p)
		}
	}
	return out
}

func processes() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("reading the process table: %w", err)
	}
	var table []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		if p, ok := parseStat(pid, string(text)); ok {
			table = append(table, p)
		}
	}
	return table, nil
}

// parseStat reads proc_pid_stat(5); the name in parentheses may hold anything.
func parseStat(pid int, text string) (process, bool) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return process{}, false
	}
	p := process{pid: pid}
	p.parent, _ = strconv.Atoi(fields[1])
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return process{}, false
		}
		p.cpu += time.Duration(n) * tick
	}
	return p, true
}
