package identity

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// User is a person of the tenant.
type User struct {
	ID          uuid.UUID `json:"id"`
	Email       string    `json:"email"`
	DisplayName string    `json:"display_name"`
	Role        Role      `json:"role"`
	// EmailVerifiedAt is when the person showed that the address is theirs.
	EmailVerifiedAt *time.Time `json:"email_verified_at,omitempty"`
	// DisabledAt is when somebody shut the person out.
	DisabledAt *time.Time `json:"disabled_at,omitempty"`
	// LastSeenAt is right to some minutes.
	LastSeenAt *time.Time `json:"last_seen_at,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	// TwoFactor says whether a password alone does not let the person in.
	TwoFactor   bool `json:"two_factor"`
	HasPassword bool `json:"has_password"`
	// Passkeys is how many there are.
	Passkeys int `json:"passkeys"`
}

// NewUser is what a person is made from.
type NewUser struct {
	Email, DisplayName string
	// PasswordHash is what [Service.HashPassword] gave; empty for who enters otherwise.
	PasswordHash string
}

// CreateOwner makes an owner, as part of db's transaction. The error is apperr.Invalid if in is wrong, Conflict if the address is somebody's.
func (s *Service) CreateOwner(ctx context.Context, db tenantschema.DBTX, in NewUser) (User, error) {
	in, err := in.valid()
	if err != nil {
		return User{}, err
	}
	u, err := s.insertUser(ctx, db, in, RoleOwner, nil)
	if err != nil {
		return User{}, failed("create owner", err)
	}
	return u, nil
}

// CreateUser makes somebody, as p, without an invitation: for the operator, and for programs that bring their people along. The errors are those
// of [Service.CreateOwner]; Forbidden if p may not.
func (s *Service) CreateUser(ctx context.Context, scope tenantschema.Scope, p Principal, in NewUser, role Role) (User, error) {
	if err := permit(p, ActionManageMembers); err != nil {
		return User{}, err
	}
	if err := mayTouch(p, User{}, role); err != nil {
		return User{}, err
	}
	in, err := in.valid()
	if err != nil {
		return User{}, err
	}
	var c checker
	c.role("role", role, Roles()...)
	if err = c.err("The account cannot be made as asked."); err != nil {
		return User{}, err
	}
	var u User
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		u, err = s.insertSeated(ctx, tx, in, role, nil)
		return err
	})
	if err != nil {
		return User{}, failed("create user", err)
	}
	return u, nil
}

// insertSeated is insertUser for somebody who takes another of the plan's seats.
func (s *Service) insertSeated(ctx context.Context, tx *tenantschema.Tx, in NewUser, role Role, verified *time.Time) (User, error) {
	if _, err := lockOwners(ctx, tx); err != nil {
		return User{}, err
	}
	if err := s.roomFor(ctx, tx); err != nil {
		return User{}, err
	}
	return s.insertUser(ctx, tx, in, role, verified)
}

func (in NewUser) valid() (NewUser, error) {
	var c checker
	in.Email = c.email("email", in.Email)
	in.DisplayName = c.line("display_name", in.DisplayName, maxName)
	return in, c.err("The account cannot be made as asked.")
}

// insertUser makes a person. verified is when the address was shown to be theirs, if it was.
func (s *Service) insertUser(ctx context.Context, db tenantschema.DBTX, in NewUser, role Role, verified *time.Time) (User, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return User{}, err
	}
	const sql = `INSERT INTO users AS u (id, email, display_name, role, password_hash, email_verified_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $7) RETURNING ` + userColumns
	return queryUser(ctx, db, sql, id, in.Email, in.DisplayName, role, in.PasswordHash, verified, s.now())
}

// UserFilter narrows a list of people.
type UserFilter struct {
	// Search finds a part of the name or address. Empty finds all.
	Search string
}

// ListUsers gives the people of the tenant, the newest first, the disabled ones too.
func (s *Service) ListUsers(ctx context.Context, scope tenantschema.Scope, f UserFilter, page PageRequest) (Page[User], error) {
	before, fetch, err := page.window()
	if err != nil {
		return Page[User]{}, err
	}
	const sql = `SELECT ` + userColumns + ` FROM users u WHERE u.id < $1
AND ($2 = '' OR u.display_name ILIKE $2 OR u.email ILIKE $2) ORDER BY u.id DESC LIMIT $3`
	rows, err := scope.Query(ctx, sql, before, pattern(f.Search), fetch)
	if err != nil {
		return Page[User]{}, failed("list users", err)
	}
	users, err := pgx.CollectRows(rows, scanUser)
	if err != nil {
		return Page[User]{}, failed("list users", err)
	}
	return pageOf(users, fetch, func(u User) uuid.UUID { return u.ID }), nil
}

// pattern makes an ILIKE pattern that finds text anywhere, or "" for no search.
func pattern(text string) string {
	text = cut(strings.TrimSpace(text), maxName)
	if text == "" {
		return ""
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}

// GetUser gives one person. The error is apperr.NotFound if there is none.
func (s *Service) GetUser(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (User, error) {
	const sql = `SELECT ` + userColumns + ` FROM users u WHERE u.id = $1`
	u, err := queryUser(ctx, scope, sql, id)
	if err != nil {
		return User{}, failedOn("get user", "user", id, err)
	}
	return u, nil
}

// UserByEmail gives the person with that address. The error is apperr.NotFound if there is none.
func (s *Service) UserByEmail(ctx context.Context, scope tenantschema.Scope, email string) (User, error) {
	address, _ := canonicalEmail(email)
	const sql = `SELECT ` + userColumns + ` FROM users u WHERE lower(u.email) = lower($1)`
	u, err := queryUser(ctx, scope, sql, address)
	if isNoRows(err) {
		return User{}, apperr.New(apperr.NotFound, "There is nobody with the address %q here.", email)
	}
	if err != nil {
		return User{}, failed("find user", err)
	}
	return u, nil
}

const userColumns = `u.id, u.email, u.display_name, u.role, u.email_verified_at, u.disabled_at, u.last_seen_at, u.created_at,
u.totp_confirmed_at IS NOT NULL, u.password_hash IS NOT NULL, (SELECT count(*) FROM passkeys p WHERE p.user_id = u.id)`

// into gives where the columns go.
func (u *User) into() []any {
	return []any{
		&u.ID, &u.Email, &u.DisplayName, &u.Role, &u.EmailVerifiedAt, &u.DisabledAt, &u.LastSeenAt, &u.CreatedAt,
		&u.TwoFactor, &u.HasPassword, &u.Passkeys,
	}
}

func (u *User) utc() {
	u.CreatedAt = u.CreatedAt.UTC()
	u.EmailVerifiedAt, u.DisabledAt, u.LastSeenAt = inUTC(u.EmailVerifiedAt), inUTC(u.DisabledAt), inUTC(u.LastSeenAt)
}

func scanUser(row pgx.CollectableRow) (User, error) {
	var u User
	err := row.Scan(u.into()...)
	u.utc()
	return u, err
}

func queryUser(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (User, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return User{}, err
	}
	return pgx.CollectOneRow(rows, scanUser)
}

// account is a person with what opens the door.
type account struct {
	User

	passwordHash *string
}

// lockAccount gives a person and keeps others from changing them until tx ends.
func lockAccount(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID) (account, error) {
	const sql = `SELECT u.password_hash, ` + userColumns + ` FROM users u WHERE u.id = $1 FOR NO KEY UPDATE OF u`
	var a account
	err := tx.QueryRow(ctx, sql, id).Scan(append([]any{&a.passwordHash}, a.into()...)...)
	a.utc()
	return a, err
}
