package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/pgserver"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// hardenVariable holds the superuser's URL. It is no key of the configuration: no process that stays has it.
const hardenVariable = "ROWHOUSE_HARDEN_URL"

func (c *cli) hardenCommand() *cobra.Command {
	var apply, show bool
	cmd := &cobra.Command{
		Use: "harden", Short: "Take functions away that only an attacker needs; it wants a superuser", Args: takes(),
		Long: "Take functions away that only an attacker needs; it wants a superuser.\n\n" +
			"In this one database PUBLIC loses EXECUTE on set_config, query_to_xml, pg_notify, lo_create and their like, and USAGE on PL/pgSQL (so: DO);\n" +
			"the roles of Rowhouse keep what they need. docs/isolation.md says which attacks that stops. Whatever else uses the database loses it as well.\n\n" +
			"It prints the SQL, unless --apply is given: then it runs it as the superuser of " + hardenVariable + ", or in the server of a running `rowhouse up`.\n" +
			"It may be repeated, and is to be repeated after a restore into a new database, or when the owner in database.url has changed. Cells and logins\n" +
			"that are made later need nothing. GRANT … TO PUBLIC takes it back.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if apply && show {
				return usagef("--print and --apply exclude each other")
			}
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.harden(cmd.Context(), cfg, apply)
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the SQL and change nothing (the default)")
	cmd.Flags().BoolVar(&apply, "apply", false, "run it")
	config.BindFlags(cmd.Flags(), "database.url")
	return cmd
}

func (c *cli) harden(ctx context.Context, cfg config.Config, apply bool) error {
	logins, err := findLogins(cfg)
	if err != nil {
		return err
	}
	roles, err := logins.HardenRoles()
	if err != nil {
		return err
	}
	sql := tenantschema.HardenSQL(roles)
	if !apply {
		fmt.Fprintln(c.out, sql+";")
		return nil
	}
	superuser, err := c.superuserURL(cfg)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, superuser)
	if err != nil {
		return apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as the superuser: check %s", hardenVariable)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // It has done its work.
	owner, err := logins.Owner()
	if err != nil {
		return err
	}
	if conn.Config().Database != owner.Database {
		return apperr.New(apperr.Invalid, "%s names the database %q, and database.url %q: they must be the same", hardenVariable,
			conn.Config().Database, owner.Database)
	}
	var super bool
	if err = conn.QueryRow(ctx, "select rolsuper from pg_catalog.pg_roles where rolname = current_user").Scan(&super); err != nil {
		return fmt.Errorf("read role: %w", err)
	}
	if !super {
		return apperr.New(apperr.Refused, "the user of %s is no superuser: only one may change the rights on PostgreSQL's own functions; "+
			"`rowhouse harden --print` gives the SQL to whoever is", hardenVariable)
	}
	if _, err = conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("harden: %w", err)
	}
	c.note("the database %q is hardened", owner.Database)
	return nil
}

// superuserURL gives the URL of the variable, or that of the embedded server if no other database is configured.
func (c *cli) superuserURL(cfg config.Config) (given string, err error) {
	for _, entry := range c.environ {
		if name, value, _ := strings.Cut(entry, "="); name == hardenVariable {
			given = value
		}
	}
	if given != "" {
		if _, err = url.Parse(given); err != nil {
			return "", errors.New(hardenVariable + " cannot be read: want postgres://user@host:port/database") // The cause may hold a password.
		}
		return given, nil
	}
	if cfg.Database.URL.IsSet() {
		return "", apperr.New(apperr.Invalid, "set %s to the URL of this database with a superuser's name and password", hardenVariable)
	}
	state, err := pgserver.Find(cfg.DataDir)
	if err != nil {
		return "", err
	}
	return state.AdminURL(embeddedDatabase), nil
}
