package tenancy

import (
	"context"
	"sync"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Creation is what became of one tenant of [Manager.CreateAll].
type Creation struct {
	// Index is its place in the list.
	Index int
	// Tenant is what is there now; zero if Err is set.
	Tenant Tenant
	// Created is false when it was there already.
	Created bool
	Err     error
}

// CreateAll makes many tenants by so many workers, each over a connection of its own. A tenant that cannot be made keeps no other from being
// made; report, which is called by one goroutine at a time and in the order in which they are done, says which. The error is
// [apperr.Partial] if any was not made.
//
// It stops when ctx ends, or when the database cannot be reached any more: what has not been reported is not there. Repeating it makes
// what is missing, as [Manager.Create] does.
func (m *Manager) CreateAll(ctx context.Context, tenants []NewTenant, workers int, report func(Creation)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	next, done, failed := 0, 0, 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil || next == len(tenants) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	tell := func(c Creation) {
		mu.Lock()
		defer mu.Unlock()
		if c.Err != nil && ctx.Err() != nil { // It failed because all was stopped.
			return
		}
		if c.Err != nil {
			failed++
			if apperr.CodeOf(c.Err) == apperr.Unavailable {
				stop()
			}
		}
		done++
		report(c)
	}
	var group sync.WaitGroup
	for range min(max(workers, 1), len(tenants)) {
		group.Go(func() {
			creator := m.Creator()
			defer creator.Close()
			for {
				i, ok := take()
				if !ok {
					return
				}
				t, created, err := creator.Create(ctx, tenants[i])
				tell(Creation{Index: i, Tenant: t, Created: created, Err: err})
			}
		})
	}
	group.Wait()
	switch {
	case done < len(tenants):
		return apperr.New(apperr.Partial, "stopped with %d of %d tenants made: run it again to go on", done-failed, len(tenants))
	case failed > 0:
		return apperr.New(apperr.Partial, "%d of %d tenants were not made: mend their rows and run it again", failed, len(tenants))
	}
	return nil
}
