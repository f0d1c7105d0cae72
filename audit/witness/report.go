package witness

import (
	"slices"
	"strings"
	"time"
)

// Report is how a witness stands.
type Report struct {
	Witness string     `json:"witness"` // verifier key
	Logs    []LogState `json:"logs"`
	// Forks and Unproven count the files of evidence. A fork is the log's guilt;
	// what is unproven may be anybody's nonsense.
	Forks    int `json:"forks"`
	Unproven int `json:"unproven"`
	// Broken means that the last cosignature could not be written down, and so
	// was not given.
	Broken bool `json:"broken"`
}

// LogState is the newest checkpoint of a log that was cosigned.
type LogState struct {
	Origin string `json:"origin"`
	// Hash is by what monitors ask for it.
	Hash       string    `json:"hash"`
	Watched    bool      `json:"watched"`
	Size       int64     `json:"size"`
	Root       string    `json:"root,omitempty"`
	CosignedAt time.Time `json:"cosigned_at,omitzero"` // zero: nothing yet
}

// Report is how the witness stands.
func (w *Witness) Report() Report {
	watched := w.logs.Load().Origins()
	w.mu.Lock()
	defer w.mu.Unlock()
	r := report(w.key.verifier.String(), w.held, w.forks)
	r.Broken = w.broken != nil
	for i := range r.Logs {
		r.Logs[i].Watched = slices.Contains(watched, r.Logs[i].Origin)
	}
	for _, origin := range watched {
		if _, seen := w.held[origin]; !seen {
			r.Logs = append(r.Logs, LogState{Origin: origin, Hash: OriginHash(origin), Watched: true})
		}
	}
	return r
}

// ReadReport reads how a witness stands from its directory, whether it runs or
// not. Which logs it watches does not stand there.
func ReadReport(dir string) (Report, error) {
	vkey, logs, err := readMemory(dir)
	if err != nil {
		return Report{}, err
	}
	forks, err := openEvidence(dir)
	if err != nil {
		return Report{}, err
	}
	return report(vkey, logs, forks), nil
}

func report(vkey string, logs map[string]held, forks evidence) Report {
	r := Report{Witness: vkey, Logs: []LogState{}, Forks: forks.counts[fork], Unproven: forks.counts[unproven]}
	for origin, h := range logs {
		r.Logs = append(r.Logs, LogState{Origin: origin, Hash: h.id, Size: h.N, Root: h.Hash.String(), CosignedAt: h.at})
	}
	slices.SortFunc(r.Logs, func(a, b LogState) int { return strings.Compare(a.Origin, b.Origin) })
	return r
}
