package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func (c *cli) keyCommand() *cobra.Command {
	return c.group("key", "Create, list and revoke a tenant's API keys",
		"Keys live in the tenant's own schema: a key of one tenant is nothing at another.", c.keyCreate(), c.keyList(), c.keyRevoke())
}

// opened is a tenant that a command works in.
type opened struct {
	cfg    config.Config
	tenant tenancy.Tenant
	scope  tenantschema.Scope
	people *identity.Service
}

// withTenant makes a command that works with the people and keys of the tenant named first.
func (c *cli) withTenant(use, short, long string, run func(ctx context.Context, t opened, args []string) error) *cobra.Command {
	return c.asOwner(use, short, long, func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
		t, err := o.Get(ctx, args[0])
		if err != nil {
			return err
		}
		if t.State != tenancy.StateReady && t.State != tenancy.StateSuspended {
			return apperr.New(apperr.Conflict, "the tenant %q is %s: its people and keys cannot be reached", t.Slug, t.State)
		}
		engine, err := o.openEngine(ctx, cfg)
		if err != nil {
			return err
		}
		defer engine.Close()
		people, err := identity.New(rowhouse.PeopleConfig(cfg))
		if err != nil {
			return err
		}
		return run(ctx, opened{cfg: cfg, tenant: t, scope: engine.Tenant(t.Engine()), people: people}, args)
	})
}

// inTenant is withTenant for commands that need no more than the scope.
func (c *cli) inTenant(
	use, short, long string, run func(ctx context.Context, keys *identity.Service, scope tenantschema.Scope, args []string) error,
) *cobra.Command {
	return c.withTenant(use, short, long, func(ctx context.Context, t opened, args []string) error {
		return run(ctx, t.people, t.scope, args)
	})
}

// keyView is a key as the CLI shows it.
type keyView struct {
	identity.Key

	// Token is only there when the key has just been made: nobody can read it again.
	Token string `json:"token,omitempty"`
}

func (c *cli) keyCreate() *cobra.Command {
	var name string
	var scopes []string
	var expiresIn time.Duration
	var tokenOnly bool
	cmd := c.inTenant("create TENANT", "Create an API key and print its token, once", "",
		func(ctx context.Context, keys *identity.Service, scope tenantschema.Scope, args []string) error {
			in := identity.NewKey{Name: name, Scopes: scopes}
			if name == "" {
				return usagef("--name is missing: say what the key is for, such as --name ci")
			}
			if tokenOnly && c.output == outputJSON {
				return usagef("--token-only prints no JSON: leave one of --token-only and --output json out")
			}
			if expiresIn < 0 {
				return usagef("--expires-in must be longer than 0, for example 720h")
			}
			if expiresIn > 0 {
				at := time.Now().Add(expiresIn)
				in.ExpiresAt = &at
			}
			key, token, err := keys.CreateKey(ctx, scope, in)
			if err != nil {
				return err
			}
			if tokenOnly {
				_, err = fmt.Fprintln(c.out, token)
				return err
			}
			if err = c.printOne(keyView{key, token}, append(keyFields(key), []string{"token", token})); err != nil {
				return err
			}
			c.note("keep the token now: it cannot be shown again. Use it as: Authorization: Bearer TOKEN, at %s's subdomain", args[0])
			return nil
		})
	cmd.Flags().StringVar(&name, "name", "", "what the key is for (required)")
	cmd.Flags().StringSliceVar(&scopes, "scopes", []string{identity.ScopeRead, identity.ScopeWrite}, "what the key may do: read, write, admin")
	cmd.Flags().BoolVar(&tokenOnly, "token-only", false, "print the bare token and nothing else, for scripts")
	_ = cmd.RegisterFlagCompletionFunc("scopes",
		cobra.FixedCompletions(identity.KeyScopes(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().DurationVar(&expiresIn, "expires-in", 0, "when the key stops working, for example 720h (default never)")
	return cmd
}

func keyFields(key identity.Key) [][]string {
	return [][]string{
		{"id", key.ID.String()}, {"name", key.Name}, {"prefix", key.Prefix}, {"scopes", strings.Join(key.Scopes, ",")},
		{"state", keyState(key)}, {"created", key.CreatedAt.UTC().Format(time.RFC3339)}, {"expires", showTime(key.ExpiresAt)},
		{"last used", showTime(key.LastUsedAt)},
	}
}

func keyState(key identity.Key) string {
	switch {
	case key.RevokedAt != nil:
		return "revoked"
	case !key.Active(time.Now()):
		return "expired"
	default:
		return "active"
	}
}

func showTime(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func (c *cli) keyList() *cobra.Command {
	return c.inTenant("list TENANT", "List a tenant's API keys, newest first", "",
		func(ctx context.Context, keys *identity.Service, scope tenantschema.Scope, args []string) error {
			list, err := keys.ListKeys(ctx, scope)
			if err != nil {
				return err
			}
			rows := make([][]string, len(list))
			for i, key := range list {
				rows[i] = []string{
					key.ID.String(), key.Name, key.Prefix, strings.Join(key.Scopes, ","), keyState(key), showTime(key.ExpiresAt), showTime(key.LastUsedAt),
				}
			}
			if len(rows) == 0 && c.output == outputTable {
				c.note("there are none: rowhouse key create %s --name NAME makes one", args[0])
				return nil
			}
			return c.print(list, []string{"ID", "NAME", "PREFIX", "SCOPES", "STATE", "EXPIRES", "LAST USED"}, rows)
		})
}

func (c *cli) keyRevoke() *cobra.Command {
	return c.inTenant("revoke TENANT KEY-ID", "Make a key worthless, at once and for ever", "Revoking it again changes nothing.",
		func(ctx context.Context, keys *identity.Service, scope tenantschema.Scope, args []string) error {
			id, err := uuid.Parse(args[1])
			if err != nil {
				return usagef("%q is no key id: `rowhouse key list %s` shows them", args[1], args[0])
			}
			key, err := keys.RevokeKey(ctx, scope, id)
			if err != nil {
				return err
			}
			return c.printOne(key, keyFields(key))
		})
}
