package webhooks_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	h, r := newHouse(t), newReceiver(t, answers(http.StatusNoContent))
	h.application("sede", r.URL+"/avisos?de=firma")
	h.requests("sede", 3)
	h.work(webhooks.Config{Authorities: r.authorities()})
	h.expire("sede", 1, 3)
	h.eventually("three deliveries", func() bool { return len(r.got()) == 3 && h.delivered("sede")() })
	for _, e := range r.got() {
		if e.ID == "" || e.Type != "signature_request.expired" || e.State != "expired" || e.Sequence != 1 || time.Since(e.CreatedAt) > time.Minute {
			t.Errorf("got %+v", e)
		}
	}
	for _, d := range h.deliveries("sede") {
		if d.Attempts != 1 || d.Status != http.StatusNoContent || d.EndedAt.IsZero() || !d.NextAt.IsZero() {
			t.Errorf("got %+v", d)
		}
	}
	if others := h.deliveries("other"); len(others) != 0 {
		t.Errorf("another application sees %v", others)
	}
}

// What fails is tried again, and a replay begins anew without a job of the last
// round doing anything; who answers 410 is told nothing more.
func TestRetryReplayAndGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var status atomic.Int64
	status.Store(http.StatusServiceUnavailable)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(int(status.Load()))
	})
	w := h.application("sede", r.URL+"/")
	h.requests("sede", 4)
	h.work(webhooks.Config{Authorities: r.authorities()})
	h.expire("sede", 1, 1)
	h.eventually("a try", func() bool { d := h.deliveries("sede"); return d[0].Attempts == 1 })
	d := h.deliveries("sede")[0]
	if d.State != signer.WebhookWaiting || d.Status != http.StatusServiceUnavailable || time.Until(d.NextAt) < 119*time.Minute || time.Until(d.NextAt) > 121*time.Minute {
		t.Fatalf("got %+v, want it to wait for two hours", d)
	}
	if _, err := h.public.ReplayWebhook(t.Context(), "other", d.ID, time.Now()); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("another's replay: got %v, want not_found", err)
	}
	status.Store(http.StatusOK)
	again, err := h.public.ReplayWebhook(t.Context(), "sede", d.ID, time.Now())
	if err != nil || again.Round != 2 || again.State != signer.WebhookWaiting || again.Attempts != 0 {
		t.Fatalf("replay: got %+v %v", again, err)
	}
	h.eventually("the replay", h.delivered("sede"))
	h.eventually("the first round's job to be early", func() bool {
		tag, err := h.owner.Exec(t.Context(), `UPDATE river_job SET scheduled_at = now(), state = 'available' WHERE state = 'scheduled'`)
		return err == nil && tag.RowsAffected() == 1
	})
	h.eventually("the former job", func() bool {
		var waiting int
		if err := h.owner.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE state <> 'completed'`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	})
	got := r.got()
	if len(got) != 2 || got[0] != got[1] {
		t.Errorf("got %+v, want one event twice", got)
	}

	status.Store(http.StatusInternalServerError)
	h.expire("sede", 2, 2)
	h.eventually("a failure", func() bool { return h.deliveries("sede")[0].Attempts == 1 })
	status.Store(http.StatusGone)
	h.expire("sede", 3, 3)
	h.eventually("the end", func() bool {
		d := h.deliveries("sede")
		return d[0].State == signer.WebhookStopped && d[1].State == signer.WebhookStopped
	})
	h.expire("sede", 4, 4)
	if n := len(h.deliveries("sede")); n != 3 {
		t.Errorf("got %d deliveries, want none after the end", n)
	}
	back, err := h.signer.AddWebhook(t.Context(), signer.Webhook{ID: "other", ApplicationID: "sede", URL: r.URL + "/", CreatedAt: time.Now()})
	if err != nil || back.ID != w.ID {
		t.Errorf("adding it again: got %+v %v, want %s", back, err, w.ID)
	}
	all, err := h.signer.Webhooks(t.Context(), "sede")
	if diff := cmp.Diff([]signer.Webhook{w}, all, cmpopts.EquateApproxTime(time.Millisecond)); err != nil || diff != "" {
		t.Errorf("after that (-want +got): %v\n%s", err, diff)
	}
	if err := h.signer.RemoveWebhook(t.Context(), w.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.signer.ReplayWebhook(t.Context(), "", d.ID, time.Now()); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("replaying to a removed address: got %v, want not_found", err)
	}
}

// What is answered where a call does not get through; nobody is led elsewhere.
func TestCallsThatFail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var elsewhere atomic.Int64
	lured := newReceiver(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	r := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/redirect":
			http.Redirect(w, q, lured.URL, http.StatusTemporaryRedirect)
		case "/endless":
			w.WriteHeader(http.StatusOK)
			for chunk := make([]byte, 64<<10); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "/headers":
			w.Header().Set("X-Much", longHeader())
		}
	})
	stranger := newReceiver(t, answers(http.StatusOK))
	stranger.Close()
	for id, url := range map[string]string{
		"redirect": r.URL + "/redirect", "endless": r.URL + "/endless", "headers": r.URL + "/headers", "closed": stranger.URL + "/",
		"metadata": "http://169.254.169.254/latest/meta-data/", "private": "https://10.0.0.1/", "mapped": "https://[::ffff:10.0.0.1]/",
		"unknown": "https://nobody.invalid/",
	} {
		h.application(id, url)
		h.requests(id, 1)
		h.expire(id, 1, 1)
	}
	h.work(webhooks.Config{Authorities: r.authorities()})
	for id, want := range map[string]signer.WebhookDelivery{
		"redirect": {State: signer.WebhookWaiting, Status: http.StatusTemporaryRedirect},
		"endless":  {State: signer.WebhookDelivered, Status: http.StatusOK},
		"headers":  {State: signer.WebhookWaiting, Problem: "connection_failed"},
		"closed":   {State: signer.WebhookWaiting, Problem: "connection_failed"},
		"metadata": {State: signer.WebhookWaiting, Problem: "address_forbidden"},
		"private":  {State: signer.WebhookWaiting, Problem: "address_forbidden"},
		"mapped":   {State: signer.WebhookWaiting, Problem: "address_forbidden"},
		"unknown":  {State: signer.WebhookWaiting, Problem: "name_not_resolved"},
	} {
		h.eventually(id, func() bool { return h.deliveries(id)[0].Attempts == 1 })
		d := h.deliveries(id)[0]
		got := signer.WebhookDelivery{State: d.State, Status: d.Status, Problem: d.Problem}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

func longHeader() string {
	b := make([]byte, 40<<10)
	for i := range b {
		b[i] = 'a'
	}
	return string(b)
}

// Whose certificate is not to be believed is told nothing.
func TestStrangersCertificate(t *testing.T) {
	t.Parallel()
	h, r := newHouse(t), newReceiver(t, answers(http.StatusOK))
	h.application("sede", r.URL+"/")
	h.requests("sede", 1)
	h.expire("sede", 1, 1)
	h.work(webhooks.Config{})
	h.eventually("a try", func() bool { return h.deliveries("sede")[0].Attempts == 1 })
	if d := h.deliveries("sede")[0]; d.Problem != "certificate_invalid" || len(r.got()) != 0 {
		t.Errorf("got %+v and %d calls, want none", d, len(r.got()))
	}
}

// A receiver that answers nobody keeps none of the others waiting.
func TestSlowReceiverIsAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	hold := make(chan struct{})
	slow := newReceiver(t, func(_ http.ResponseWriter, q *http.Request) {
		select {
		case <-hold:
		case <-q.Context().Done():
		}
	})
	quick := newReceiver(t, answers(http.StatusOK))
	authorities := slow.authorities()
	authorities.AddCert(quick.Certificate())
	h.application("slow", slow.URL+"/")
	h.application("quick", quick.URL+"/")
	h.requests("slow", 300)
	h.requests("quick", 100)
	h.expire("slow", 1, 300)
	h.work(webhooks.Config{Authorities: authorities})
	h.eventually("a call", func() bool { return len(slow.got()) > 0 })
	h.expire("quick", 1, 100)
	awake := cputest.Awake(t)
	h.eventually("the quick one's", h.delivered("quick"))
	t.Logf("the quick one's took %v", awake())
	if took := awake(); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := len(slow.got()); n > 16 {
		t.Errorf("the slow one has %d calls at once, want 16", n)
	}
	close(hold)
}
