package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
)

func (c *cli) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "health", Short: "Ask the running server's /readyz; exit code 0 if it is ready, else 1", Args: takes(),
		Long: "Ask the running server's /readyz on the admin address; exit code 0 if it is ready, else 1. For container health checks.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.health(cmd.Context(), cfg.Server.AdminAddr)
		},
	}
	config.BindFlags(cmd.Flags(), "server.admin_addr")
	return cmd
}

func (c *cli) health(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return apperr.Wrap(err, apperr.Invalid, "the admin address %q is not host:port", addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // Listening everywhere includes here.
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	client := &http.Client{Timeout: 3 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return apperr.Wrap(err, apperr.Unavailable, "no server answers on the admin address %s", addr)
	}
	defer response.Body.Close() //nolint:errcheck // Read to its end below.
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("read readiness: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return apperr.New(apperr.Unavailable, "not ready: %s", strings.TrimSpace(string(body)))
	}
	var answer struct {
		Ready  bool              `json:"ready"`
		Checks map[string]string `json:"checks"`
	}
	if err = json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("read readiness: %w", err)
	}
	rows := [][]string{{"ready", strconv.FormatBool(answer.Ready)}}
	for _, name := range slices.Sorted(maps.Keys(answer.Checks)) {
		rows = append(rows, []string{name, answer.Checks[name]})
	}
	return c.printOne(answer, rows)
}
