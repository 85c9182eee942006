package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) secretsCommand() *cobra.Command {
	return c.group("secrets", "Rotate the key of the seal, and list its keys",
		"The seal is what a transaction shows the tables of sealed and dedicated tenants. Its keys derive from the login secret.",
		c.secretsRotate(), c.secretsList())
}

func (c *cli) secretsRotate() *cobra.Command {
	var now bool
	cmd := c.asOwner("rotate", "Put a new key of the seal in force, while servers run",
		"Running servers learn of it within half a minute, and no request fails: the key before stays valid until the next rotation. A second\n"+
			"rotation soon after the first is refused, because servers could still use the key that it ends; --now does it all the same. If a key has\n"+
			"leaked, rotate twice, the second time with --now: requests may fail for half a minute.",
		func(ctx context.Context, _ config.Config, o *owner, _ []string) error {
			if _, err := o.RotateSeal(ctx, now); err != nil {
				return err
			}
			return c.listSeals(ctx, o)
		})
	cmd.Flags().BoolVar(&now, "now", false, "even if requests may fail for it, until servers know of the new key")
	return cmd
}

func (c *cli) secretsList() *cobra.Command {
	return c.asOwner("list", "List the valid keys of the seal, the one in force first", "Their secrets are not shown: nobody needs to know them.",
		func(ctx context.Context, _ config.Config, o *owner, _ []string) error { return c.listSeals(ctx, o) })
}

// sealView is a key of the seal as the CLI shows it.
type sealView struct {
	ID        string    `json:"id"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
}

func viewSeal(k tenancy.SealKeyInfo) sealView {
	v := sealView{ID: k.ID, State: "valid", CreatedAt: k.CreatedAt.UTC()}
	if k.Current {
		v.State = "in force"
	}
	return v
}

func (c *cli) listSeals(ctx context.Context, o *owner) error {
	keys, err := o.SealKeys(ctx)
	if err != nil {
		return err
	}
	views, rows := make([]sealView, len(keys)), make([][]string, len(keys))
	for i, k := range keys {
		v := viewSeal(k)
		views[i], rows[i] = v, []string{v.ID, v.State, v.CreatedAt.Format(time.RFC3339)}
	}
	return c.print(views, []string{"KEY", "STATE", "CREATED"}, rows)
}
