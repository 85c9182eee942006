package jobqueue

import (
	"errors"
	"fmt"
	"net/http"

	"riverqueue.com/riverui"
)

// UI gives River's pages, to be served below prefix, for example "/jobs". They show and change the jobs of all tenants, and ask nobody who he is:
// whoever serves them does. Counts are asked of the database when a page wants them. It needs [Config.Workers].
func (c *Client) UI(prefix string) (http.Handler, error) {
	if c.cfg.Workers == nil {
		return nil, errors.New("jobqueue: a client without Config.Workers has no pages")
	}
	// It is not started, which would begin to count all jobs each few seconds.
	handler, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(c.river, nil), Logger: riverLog(c.cfg.Log), Prefix: prefix, JobListHideArgsByDefault: true,
	})
	if err != nil {
		return nil, fmt.Errorf("jobqueue: make pages: %w", err)
	}
	return handler, nil
}
