package identity

import (
	"context"
	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// WelcomeToken gives the token that lets the browser that signed up in at its new tenant, and what is stored of it. The secret is the browser's:
// where [Service.NewWelcome] makes one, who makes the tenant of a sign-up never has it.
func WelcomeToken(secret [32]byte) (token string, hash []byte) {
	sum := sha256.Sum256(secret[:])
	return formatSecret(welcomeStart, secret), sum[:]
}

// AddWelcome stores that the token with that hash, of [WelcomeToken], signs a person in once, within 15 minutes, as part of db's transaction.
func (s *Service) AddWelcome(ctx context.Context, db tenantschema.DBTX, user uuid.UUID, hash []byte) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	now := s.now()
	_, err = db.Exec(ctx, `INSERT INTO user_tokens (id, user_id, kind, token_hash, created_at, expires_at) VALUES ($1, $2, 'welcome', $3, $4, $5)`,
		id, user, hash, now, now.Add(welcomeLife))
	if err != nil {
		return failed("add welcome", err)
	}
	return nil
}

// Check says what is wrong with in: apperr.Invalid with the fields, or nothing. What it lets pass [Service.CreateOwner] takes.
func (in NewUser) Check() error {
	_, err := in.valid()
	return err
}
