package tenancy

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// warmEvery is how often somebody who keeps tenants made ahead looks whether one was claimed.
	warmEvery = 500 * time.Millisecond
	// warmRetryMost is the longest pause after failures in a row.
	warmRetryMost = time.Minute
)

// KeepWarmConfig says how [Manager.KeepWarm] works.
type KeepWarmConfig struct {
	// Want is how many tenants are to be ready.
	Want int
	// Log is told of what fails. Required.
	Log *zap.Logger
	// OnPool, if set, is told how the pool stands whenever it was looked at.
	OnPool func(WarmPool)
	// OnRefill, if set, is told how long making or migrating took, and whether it failed.
	OnRefill func(elapsed time.Duration, err error)
}

// KeepWarm keeps tenants made ahead until ctx ends: one at a time, with a rest after each that is as long as it took, so that filling a pool
// takes half of one backend at most. After failures it waits longer and longer, up to a minute. Any number may run at once: they take turns,
// and together make no more than one of them would.
func (m *Manager) KeepWarm(ctx context.Context, cfg KeepWarmConfig) {
	if cfg.OnPool == nil {
		cfg.OnPool = func(WarmPool) {}
	}
	if cfg.OnRefill == nil {
		cfg.OnRefill = func(time.Duration, error) {}
	}
	creator := m.Creator()
	defer creator.Close()
	var retry time.Duration
	for {
		started := time.Now()
		worked, err := creator.refill(ctx, cfg.Want)
		pause := warmEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			cfg.OnRefill(time.Since(started), err)
			retry = min(max(2*retry, warmEvery), warmRetryMost)
			pause = retry
			cfg.Log.Error("tenants could not be made ahead", zap.Duration("again_in", pause), zap.Error(err))
		case worked:
			cfg.OnRefill(time.Since(started), nil)
			pause, retry = min(time.Since(started), warmEvery), 0
		default:
			retry = 0
			creator.Close() // Nobody knows for how long there is nothing to do.
		}
		if pool, err := m.WarmPool(ctx); err == nil { // If not, the next refill says so.
			cfg.OnPool(pool)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
