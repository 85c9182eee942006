package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

const (
	reconnectEvery = time.Second
	notifyTimeout  = 5 * time.Second
)

// send passes the hints of this process on to the others, many in one statement.
func (h *Hub) send() {
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.wake:
		}
		gather := time.NewTimer(h.cfg.Gather)
		select {
		case <-h.ctx.Done():
			gather.Stop()
			return
		case <-gather.C:
		}
		h.mu.Lock()
		schemas := slices.Collect(maps.Keys(h.pending))
		clear(h.pending)
		h.mu.Unlock()
		if len(schemas) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(h.ctx, notifyTimeout)
		_, err := h.cfg.Notify.Exec(ctx, "select pg_catalog.pg_notify('"+channel+"', s) from unnest($1::text[]) as s", schemas)
		cancel()
		if err != nil && h.ctx.Err() == nil {
			h.cfg.Log.Warn("other processes were not told of changes; they will find them", zap.Error(err))
		}
	}
}

// listen takes the hints of all processes, and of whoever else notifies.
func (h *Hub) listen() {
	for h.ctx.Err() == nil {
		err := h.listenOn()
		if h.ctx.Err() != nil {
			return
		}
		h.cfg.Log.Warn("lost the connection that listens for changes; connecting again", zap.Error(err))
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(reconnectEvery):
		}
	}
}

func (h *Hub) listenOn() error {
	conn, err := pgx.ConnectConfig(h.ctx, h.cfg.Listen)
	if err != nil {
		return fmt.Errorf("connect to listen for changes: %w", err)
	}
	defer conn.Close(context.WithoutCancel(h.ctx)) //nolint:errcheck // It is broken or no longer needed.
	if _, err = conn.Exec(h.ctx, "listen "+channel); err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	h.hintAll() // What was notified before is lost.
	for {
		// Ended now and then, so that a connection that has silently died is found.
		ctx, cancel := context.WithTimeout(h.ctx, time.Minute)
		notification, err := conn.WaitForNotification(ctx)
		cancel()
		switch {
		case err == nil:
			h.hint(notification.Payload)
		case h.ctx.Err() != nil || conn.IsClosed() || !errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("wait for changes: %w", err)
		default:
			if err = conn.Ping(h.ctx); err != nil {
				return fmt.Errorf("wait for changes: %w", err)
			}
		}
	}
}
