package webhooks

import (
	"crypto/rand"
	"math/big"
	"net/http"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

// How often and for how long a delivery is tried.
const (
	firstPause   = 10 * time.Second
	longestPause = 4 * time.Hour
	// longestWish bounds what a receiver may ask for by Retry-After.
	longestWish = 6 * time.Hour
	// Persistence is how long a delivery is tried.
	Persistence = 48 * time.Hour
)

// answer is what came of a call.
type answer struct {
	status     int    // 0 if there was none
	retryAfter string // as it was written
	problem    string // why there was none
}

// settle says what becomes of a delivery.
func settle(d signer.WebhookDelivery, a answer, now time.Time) signer.WebhookDelivery {
	d.Attempts++
	d.LastAt, d.Status, d.Problem = now, a.status, a.problem
	d.NextAt, d.EndedAt = time.Time{}, now
	switch {
	case a.status >= 200 && a.status < 300:
		d.State = signer.WebhookDelivered
	case a.status == http.StatusGone:
		d.State = signer.WebhookStopped
	default:
		next := now.Add(max(jitter(pause(d.Attempts)), wish(a.retryAfter, now)))
		if next.After(d.BeganAt.Add(Persistence)) {
			d.State = signer.WebhookGivenUp
			break
		}
		d.NextAt, d.EndedAt = next, time.Time{}
	}
	return d
}

// pause doubles with each attempt.
func pause(attempts int) time.Duration {
	p := firstPause
	for n := 1; n < attempts && p < longestPause; n++ {
		p *= 2
	}
	return min(p, longestPause)
}

// jitter spreads what failed together by a quarter either way.
func jitter(p time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(p/2)+1))
	if err != nil {
		return p // crypto/rand does not fail
	}
	return p - p/4 + time.Duration(n.Int64())
}

// wish reads Retry-After (RFC 9110, section 10.2.3): seconds or a date.
func wish(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestWish)
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(0, at.Sub(now)), longestWish)
	}
	return 0
}
