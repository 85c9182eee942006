package cli

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
)

func (c *cli) userCommand() *cobra.Command {
	return c.group("user", "List, create and change a tenant's people",
		"People live in the tenant's own schema: the same address at two tenants is two people.",
		c.userList(), c.userCreate(), c.userSetRole(), c.userDisable(), c.userEnable(), c.userResetLink(), c.userResetTOTP())
}

func (c *cli) userList() *cobra.Command {
	return c.withTenant("list TENANT", "List a tenant's people, newest first", "",
		func(ctx context.Context, t opened, args []string) error {
			users := []identity.User{}
			for page := (identity.PageRequest{Limit: identity.MaxLimit}); ; {
				some, err := t.people.ListUsers(ctx, t.scope, identity.UserFilter{}, page)
				if err != nil {
					return err
				}
				users = append(users, some.Items...)
				if page.Cursor = some.Next; page.Cursor == "" {
					break
				}
			}
			if len(users) == 0 && c.output == outputTable {
				c.note("there is nobody: rowhouse user create %s --email ADDRESS --name NAME makes an owner", args[0])
				return nil
			}
			rows := make([][]string, len(users))
			for i, u := range users {
				rows[i] = []string{u.Email, u.DisplayName, string(u.Role), userState(u), userFactors(u), showTime(u.LastSeenAt), u.ID.String()}
			}
			return c.print(users, []string{"EMAIL", "NAME", "ROLE", "STATE", "SIGNS IN BY", "LAST SEEN", "ID"}, rows)
		})
}

func userState(u identity.User) string {
	switch {
	case u.DisabledAt != nil:
		return "disabled"
	case u.EmailVerifiedAt == nil:
		return "unverified"
	default:
		return "active"
	}
}

func userFactors(u identity.User) string {
	by := "-"
	if u.HasPassword {
		by = "password"
	}
	if u.TwoFactor {
		by += "+code"
	}
	if u.Passkeys > 0 {
		by += ", passkeys: " + strconv.Itoa(u.Passkeys)
	}
	return by
}

// userView is somebody as the CLI shows them.
type userView struct {
	identity.User

	// ResetLink lets whoever has it choose the password, once, within an hour.
	ResetLink string `json:"reset_link,omitempty"`
}

func (c *cli) printUser(v userView) error {
	fields := [][]string{
		{"id", v.ID.String()}, {"email", v.Email}, {"name", v.DisplayName}, {"role", string(v.Role)}, {"state", userState(v.User)},
		{"signs in by", userFactors(v.User)}, {"last seen", showTime(v.LastSeenAt)},
	}
	if v.ResetLink != "" {
		fields = append(fields, []string{"reset link", v.ResetLink})
		defer c.note("hand the link over now, by a way that you trust: whoever has it chooses the password, once, within an hour")
	}
	return c.printOne(v, fields)
}

func (c *cli) userCreate() *cobra.Command {
	var email, name, role string
	cmd := c.withTenant("create TENANT", "Create somebody, and print the link by which they choose a password", "",
		func(ctx context.Context, t opened, _ []string) error {
			if email == "" || name == "" {
				return usagef("--email and --name are needed")
			}
			u, err := t.people.CreateUser(ctx, t.scope, identity.Operator(), identity.NewUser{Email: email, DisplayName: name}, identity.Role(role))
			if err != nil {
				return err
			}
			link, err := t.people.ResetLink(ctx, t.scope, u.ID, rowhouse.SiteOf(t.cfg, t.tenant))
			if err != nil {
				return err
			}
			return c.printUser(userView{u, link})
		})
	cmd.Flags().StringVar(&email, "email", "", "the person's address (required)")
	cmd.Flags().StringVar(&name, "name", "", "the person's name (required)")
	cmd.Flags().StringVar(&role, "role", string(identity.RoleOwner), "owner, admin, member or guest")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roleNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func roleNames() []string {
	var names []string
	for _, r := range identity.Roles() {
		names = append(names, string(r))
	}
	return names
}

func (c *cli) userSetRole() *cobra.Command {
	return c.withTenant("set-role TENANT EMAIL ROLE", "Make somebody owner, admin, member or guest", "The last owner stays one.",
		func(ctx context.Context, t opened, args []string) error {
			if !slices.Contains(roleNames(), args[2]) {
				return usagef("%q is no role: give owner, admin, member or guest", args[2])
			}
			return c.changeUser(ctx, t, args[1], identity.UserPatch{Role: new(identity.Role(args[2]))})
		})
}

func (c *cli) userDisable() *cobra.Command {
	return c.withTenant("disable TENANT EMAIL", "Shut somebody out, at once", "Sessions and links end. API keys stay: a key outlives who made it.",
		func(ctx context.Context, t opened, args []string) error {
			return c.changeUser(ctx, t, args[1], identity.UserPatch{Disabled: new(true)})
		})
}

func (c *cli) userEnable() *cobra.Command {
	return c.withTenant("enable TENANT EMAIL", "Let somebody in again who was disabled", "",
		func(ctx context.Context, t opened, args []string) error {
			return c.changeUser(ctx, t, args[1], identity.UserPatch{Disabled: new(false)})
		})
}

func (c *cli) changeUser(ctx context.Context, t opened, email string, patch identity.UserPatch) error {
	u, err := t.people.UserByEmail(ctx, t.scope, email)
	if err != nil {
		return err
	}
	if u, err = t.people.ChangeUser(ctx, t.scope, identity.Operator(), u.ID, patch); err != nil {
		return err
	}
	return c.printUser(userView{User: u})
}

func (c *cli) userResetLink() *cobra.Command {
	return c.withTenant("reset-link TENANT EMAIL", "Print a link by which somebody chooses a new password", "It works once, within an hour.",
		func(ctx context.Context, t opened, args []string) error {
			u, err := t.people.UserByEmail(ctx, t.scope, args[1])
			if err != nil {
				return err
			}
			link, err := t.people.ResetLink(ctx, t.scope, u.ID, rowhouse.SiteOf(t.cfg, t.tenant))
			if err != nil {
				return err
			}
			return c.printUser(userView{u, link})
		})
}

func (c *cli) userResetTOTP() *cobra.Command {
	return c.withTenant("reset-second-factor TENANT EMAIL", "Switch off the second factor of somebody who has lost it",
		"Make sure first that it is they who ask.",
		func(ctx context.Context, t opened, args []string) error {
			u, err := t.people.UserByEmail(ctx, t.scope, args[1])
			if err != nil {
				return err
			}
			if err = t.people.ResetTOTP(ctx, t.scope, u.ID); err != nil {
				return err
			}
			u.TwoFactor = false
			return c.printUser(userView{User: u})
		})
}
