package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// demoFile is where `up` keeps the tokens of the demo tenants, so that the next `up` prints ones that work.
const demoFile = "demo.json"

// demo is a demo tenant and a token of it.
type demo struct {
	tenant tenancy.Tenant
	token  string
	// email and password are the owner's; no password if it is not known.
	email, password string
}

// demoNote is what is kept of a demo tenant in demoFile.
type demoNote struct {
	Token string `json:"token"`
	// Filled says that the sample data is complete, and is not to be made again when somebody deletes some of it.
	Filled bool `json:"filled"`
	// Password is that of the people who were made, each of whom has the same.
	Password string `json:"password,omitempty"`
}

// demoTenants are the demo tenants, whatever the product.
func demoTenants() []tenancy.NewTenant {
	return []tenancy.NewTenant{{Slug: "acme", Name: "Acme Rockets"}, {Slug: "globex", Name: "Globex Weather"}}
}

// makeDemo makes the demo tenants with sample data and a key each, as far as they are not there. It may be cut off and run again.
func (c *cli) makeDemo(ctx context.Context, cfg config.Config, logins *tenancy.Logins, p *platform) ([]demo, error) {
	o, err := c.openOwner(ctx, cfg, logins)
	if err != nil {
		return nil, err
	}
	defer o.pool.Close()
	path := filepath.Join(cfg.DataDir, demoFile)
	notes := map[string]demoNote{} // by tenant id
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &notes)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, apperr.Wrap(err, apperr.Invalid, "%s cannot be read: remove it, and new demo keys are made", path)
	}
	var demos []demo
	for _, want := range demoTenants() {
		t, _, err := o.Create(ctx, want)
		if apperr.CodeOf(err) == apperr.Conflict { // Deleted a while ago, or made by somebody with another name: theirs, not ours.
			c.note("no demo tenant: %v", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if t.State != tenancy.StateReady {
			c.note("the demo tenant %s is %s", t.Slug, t.State)
			continue
		}
		note := notes[t.ID]
		scope := p.engine.Tenant(t.Engine())
		if note.Password, err = p.demoPeople(ctx, scope, t, note.Password); err != nil {
			return nil, fmt.Errorf("make people of demo tenant %s: %w", t.Slug, err)
		}
		if !note.Filled && p.house.Demo != nil {
			if err = p.house.Demo(ctx, scope, want.Slug); err != nil {
				return nil, fmt.Errorf("fill demo tenant %s: %w", t.Slug, err)
			}
			note.Filled = true
		}
		if p.mailbox != nil { // Nobody is sent anything.
			if err = p.demoMail(ctx, t); err != nil {
				return nil, fmt.Errorf("mail to demo tenant %s: %w", t.Slug, err)
			}
		}
		if _, err = p.house.Identity.Authenticate(ctx, scope, note.Token); err != nil {
			_, note.Token, err = p.house.Identity.CreateKey(ctx, scope, identity.NewKey{Name: "demo", Scopes: []string{identity.ScopeRead, identity.ScopeWrite}})
			if err != nil {
				return nil, fmt.Errorf("make demo key of %s: %w", t.Slug, err)
			}
		}
		notes[t.ID] = note
		demos = append(demos, demo{tenant: t, token: note.Token, email: demoAddress("ada", t), password: note.Password})
	}
	if text, err = json.MarshalIndent(notes, "", "  "); err != nil { //nolint:gosec // It is kept as a secret, so that the next `up` prints it.
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if err = writeFile(path, string(text)+"\n"); err != nil {
		return nil, fmt.Errorf("keep demo keys: %w", err)
	}
	return demos, nil
}

// demoAddress is one that nobody has.
func demoAddress(name string, t tenancy.Tenant) string { return name + "@" + t.Slug + ".example" }

// demoPeople makes an owner, a member and a guest with one password, and gives that; or the one that was kept, if they are there already.
func (p *platform) demoPeople(ctx context.Context, scope tenantschema.Scope, t tenancy.Tenant, kept string) (string, error) {
	password := kept
	if password == "" {
		password = strings.ToLower(rand.Text()[:16])
	}
	hash, err := p.house.Identity.HashPassword(ctx, password)
	if err != nil {
		return "", err
	}
	var owner identity.User
	for _, person := range []struct {
		name, email string
		role        identity.Role
	}{
		{"Ada Lovelace", "ada", identity.RoleOwner}, {"Ben Franklin", "ben", identity.RoleMember}, {"Gus Guest", "gus", identity.RoleGuest},
	} {
		user, err := p.house.Identity.CreateOwner(ctx, scope, identity.NewUser{
			Email: demoAddress(person.email, t), DisplayName: person.name, PasswordHash: hash,
		})
		if apperr.CodeOf(err) == apperr.Conflict { // There already; or changed, which is theirs.
			return kept, nil
		}
		if err != nil {
			return "", err
		}
		if person.role == identity.RoleOwner {
			owner = user
			continue
		}
		as := identity.Principal{UserID: owner.ID, Role: owner.Role, ConfirmedAt: time.Now()}
		if _, err = p.house.Identity.ChangeUser(ctx, scope, as, user.ID, identity.UserPatch{Role: &person.role}); err != nil {
			return "", err
		}
	}
	return password, nil
}
