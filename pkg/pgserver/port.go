package pgserver

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

const loopback = "127.0.0.1"

// choosePort gives the wanted port, or if that is 0 the last one, or else any, whichever is free.
func choosePort(ctx context.Context, want, last int) (int, error) {
	if want != 0 {
		port, err := tryPort(ctx, want)
		if err != nil {
			return 0, apperr.Wrap(err, apperr.Conflict,
				"port %d on %s cannot be used: stop what listens there, or choose another port for PostgreSQL (0 takes any that is free)", want, loopback)
		}
		return port, nil
	}
	if last != 0 && portFree(ctx, last) {
		return last, nil
	}
	port, err := tryPort(ctx, 0)
	if err != nil {
		return 0, fmt.Errorf("finding a free port on %s: %w", loopback, err)
	}
	return port, nil
}

func portFree(ctx context.Context, port int) bool {
	_, err := tryPort(ctx, port)
	return err == nil
}

// tryPort listens on a port for a moment, 0 being any, and gives its number.
func tryPort(ctx context.Context, port int) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	if err = l.Close(); err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}
