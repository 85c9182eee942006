package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/mail"
)

// Check is one thing that must be well for this process to serve.
type Check struct {
	// Name is shown to whoever asks, for example "database".
	Name string
	// Probe returns what is wrong. It goes to the log, never into the answer.
	Probe func(ctx context.Context) error
}

// AdminConfig is what [Admin] needs.
type AdminConfig struct {
	// Checks decide readiness: the database answers, the control and River migrations are current.
	Checks []Check
	// Metrics answers /metrics. Required.
	Metrics http.Handler
	// Mailbox, if set, is shown at /mailbox, to whoever asks: for `rowhouse up` alone.
	Mailbox *mail.Files
	// Jobs, if set, answers below /jobs/ whoever has JobsPassword.
	Jobs         http.Handler
	JobsPassword string
	// Draining, if set, makes readiness fail while it gives true.
	Draining func() bool
	// Log is told why a check fails, when its outcome changes. Required.
	Log *zap.Logger
	// CheckTimeout bounds all checks together. Default 2 s.
	CheckTimeout time.Duration
	// CacheFor is how long an outcome is shown again without asking the database. Default 1 s.
	CacheFor time.Duration
}

// Admin answers on the address that only operators and their tools reach:
//
//	/healthz  200 while the process runs: a reason to restart it if not
//	/readyz   200 or 503 with each check by name: a reason to send it requests or not
//	/metrics  for Prometheus
//	/mailbox  the mails that were written into files, if there is a mailbox
//	/jobs/    the job queue's pages, for operators who sign in; only if there is a password
//
// However often /readyz is asked, the checks run at most once per CacheFor, one run at a time.
func Admin(cfg AdminConfig) (http.Handler, error) {
	if cfg.Metrics == nil || cfg.Log == nil {
		return nil, errors.New("httpapi: AdminConfig.Metrics and AdminConfig.Log are required")
	}
	for _, check := range cfg.Checks {
		if check.Name == "" || check.Probe == nil {
			return nil, errors.New("httpapi: every AdminConfig.Checks needs a name and a probe")
		}
	}
	if cfg.CheckTimeout < 0 || cfg.CacheFor < 0 {
		return nil, errors.New("httpapi: AdminConfig.CheckTimeout and AdminConfig.CacheFor must not be negative")
	}
	if cfg.CheckTimeout == 0 {
		cfg.CheckTimeout = 2 * time.Second
	}
	if cfg.CacheFor == 0 {
		cfg.CacheFor = time.Second
	}
	if cfg.Jobs != nil && cfg.JobsPassword == "" {
		return nil, errors.New("httpapi: AdminConfig.Jobs needs AdminConfig.JobsPassword")
	}
	cfg.Checks = slices.Clone(cfg.Checks)
	ready := &readiness{cfg: cfg}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // Fails only when nobody listens any more.
	})
	mux.Handle("GET /readyz", ready)
	mux.Handle("GET /metrics", cfg.Metrics)
	if cfg.Mailbox != nil {
		if err := addMailbox(mux, cfg.Mailbox, cfg.Log); err != nil {
			return nil, err
		}
	}
	if cfg.Jobs != nil {
		mux.Handle("/jobs/", forOperators(cfg.JobsPassword, cfg.Jobs))
	}
	return mux, nil
}

// readiness runs the checks and keeps their outcome for a while.
type readiness struct {
	cfg AdminConfig

	mu      sync.Mutex
	checked time.Time
	last    outcome
}

// outcome is the answer of /readyz.
type outcome struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"`
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	out := r.outcome(req.Context())
	if r.cfg.Draining != nil && r.cfg.Draining() {
		out.Ready = false
		out.Checks["draining"] = "stopping"
	}
	w.Header().Set("Content-Type", mimeJSON)
	w.Header().Set("Cache-Control", "no-store")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(out) // Fails only when nobody listens any more.
}

// outcome gives a copy of the last outcome, or of a new one if that is stale. Who asks meanwhile waits and shares it.
func (r *readiness) outcome(ctx context.Context) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checked.IsZero() || time.Since(r.checked) >= r.cfg.CacheFor {
		// The outcome is everybody's, so one asker's hanging up must not be the reason why it fails.
		r.last = r.run(context.WithoutCancel(ctx))
		r.checked = time.Now()
	}
	return outcome{Ready: r.last.Ready, Checks: maps.Clone(r.last.Checks)}
}

func (r *readiness) run(ctx context.Context) outcome {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CheckTimeout)
	defer cancel()
	out := outcome{Ready: true, Checks: make(map[string]string, len(r.cfg.Checks))}
	for _, check := range r.cfg.Checks {
		err := probe(ctx, check)
		state := "ok"
		if err != nil {
			state, out.Ready = "failing", false
		}
		if state != r.last.Checks[check.Name] && (err != nil || r.last.Checks != nil) {
			r.cfg.Log.Info("readiness changed", zap.String("check", check.Name), zap.String("outcome", state), zap.Error(err))
		}
		out.Checks[check.Name] = state
	}
	return out
}

// probe turns a panic into an error: a broken check is a failing one, not an unanswered request with the lock held.
func probe(ctx context.Context, check Check) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("httpapi: check %s panicked: %v", check.Name, p)
		}
	}()
	return check.Probe(ctx)
}
