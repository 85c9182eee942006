package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Passkey is a key that somebody's device keeps for the tenant's host. It shows itself who holds it (by finger, face or PIN), so it lets in
// without a second factor.
type Passkey struct {
	ID         uuid.UUID  `json:"id"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

const (
	maxPasskeys = 20
	// maxPasskeyResponse is more than any authenticator sends.
	maxPasskeyResponse = 64 << 10
)

// relyingParty is the site as WebAuthn knows it: keys are bound to its host, and only pages of its origin may ask for them.
func relyingParty(site Site) (*webauthn.WebAuthn, error) {
	return webauthn.New(&webauthn.Config{
		RPID: site.Host, RPDisplayName: site.Name, RPOrigins: []string{site.Origin}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		},
	})
}

// passkeyUser is a person as WebAuthn knows it.
type passkeyUser struct {
	User

	credentials []webauthn.Credential
}

func (u passkeyUser) WebAuthnID() []byte                         { return u.ID[:] }
func (u passkeyUser) WebAuthnName() string                       { return u.Email }
func (u passkeyUser) WebAuthnDisplayName() string                { return u.DisplayName }
func (u passkeyUser) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// errPasskey is the one answer to what no passkey of the tenant's people says.
func errPasskey(err error) error {
	return apperr.Wrap(err, apperr.Unauthenticated, "This passkey is not known here, or was not confirmed. Try another, or sign in otherwise.")
}

// BeginPasskey gives what the browser needs to make a passkey (JSON for PublicKeyCredential.parseCreationOptionsFromJSON, in the field publicKey),
// and the step for [Service.FinishPasskey]. p must have shown lately who it is (apperr.Refused).
func (s *Service) BeginPasskey(
	ctx context.Context, scope tenantschema.Scope, p Principal, site Site,
) (options json.RawMessage, step string, err error) {
	if err = s.RequireRecent(p, recently); err != nil {
		return nil, "", err
	}
	party, err := relyingParty(site)
	if err != nil {
		return nil, "", failed("begin passkey", err)
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		u, err := findPasskeyUser(ctx, tx, p.UserID)
		if err != nil {
			return err
		}
		if len(u.credentials) >= maxPasskeys {
			return apperr.New(apperr.Conflict, "You have %d passkeys. Remove one before you add another.", maxPasskeys)
		}
		creation, session, err := party.BeginRegistration(u, webauthn.WithExclusions(webauthn.Credentials(u.credentials).CredentialDescriptors()))
		if err != nil {
			return err
		}
		if options, err = json.Marshal(creation); err != nil {
			return err
		}
		step, err = s.insertStep(ctx, tx, stepPasskeyAdd, p.UserID, session)
		return err
	})
	if err != nil {
		return nil, "", failedOn("begin passkey", "user", p.UserID, err)
	}
	return options, step, nil
}

// FinishPasskey stores the passkey that the browser has made. The error is apperr.Invalid if response is not what was asked for.
func (s *Service) FinishPasskey(
	ctx context.Context, scope tenantschema.Scope, p Principal, site Site, step, name string, response []byte,
) (Passkey, error) {
	if err := requireUser(p); err != nil {
		return Passkey{}, err
	}
	var c checker
	name = c.line("name", name, maxName)
	if err := c.err("The passkey cannot be stored as asked."); err != nil {
		return Passkey{}, err
	}
	parsed, err := parsePasskey(response, protocol.ParseCredentialCreationResponseBytes)
	if err != nil {
		return Passkey{}, apperr.Wrap(err, apperr.Invalid, "The browser's answer cannot be read. Try again.")
	}
	party, err := relyingParty(site)
	if err != nil {
		return Passkey{}, failed("finish passkey", err)
	}
	var made Passkey
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		begun, session, err := s.takePasskeyStep(ctx, tx, stepPasskeyAdd, step)
		if err != nil {
			return err
		}
		if begun.user != p.UserID {
			return errStep()
		}
		a, err := lockAccount(ctx, tx, p.UserID)
		if err != nil {
			return err
		}
		credential, err := party.CreateCredential(passkeyUser{User: a.User}, session, parsed)
		if err != nil {
			return apperr.Wrap(err, apperr.Invalid, "The passkey is not accepted: it was made for another site, or without confirming who holds it.")
		}
		if made, err = s.insertPasskey(ctx, tx, p.UserID, name, credential); err != nil {
			return err
		}
		return s.notify(ctx, tx, a.User, a.Email, fmt.Sprintf("A passkey was added: %s.", name))
	})
	if taken(err, "passkeys_credential_id_key") {
		err = apperr.Wrap(err, apperr.Conflict, "This passkey is known here already.")
	}
	if err != nil {
		return Passkey{}, failed("finish passkey", err)
	}
	return made, nil
}

func parsePasskey[T any](response []byte, parse func([]byte) (T, error)) (T, error) {
	if len(response) > maxPasskeyResponse {
		var none T
		return none, errors.New("the response is too long")
	}
	return parse(response)
}

func (s *Service) takePasskeyStep(ctx context.Context, tx *tenantschema.Tx, kind stepKind, token string) (step, webauthn.SessionData, error) {
	var session webauthn.SessionData
	begun, err := s.takeStep(ctx, tx, kind, token)
	if err == nil {
		err = json.Unmarshal(begun.data, &session)
	}
	return begun, session, err
}

func (s *Service) insertPasskey(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID, name string, c *webauthn.Credential) (Passkey, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Passkey{}, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return Passkey{}, err
	}
	now := s.now()
	_, err = tx.Exec(ctx, `INSERT INTO passkeys (id, user_id, name, credential_id, credential, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		id, user, name, c.ID, string(text), now)
	return Passkey{ID: id, Name: name, CreatedAt: now}, err
}

// ListPasskeys gives p's passkeys, the newest first.
func (s *Service) ListPasskeys(ctx context.Context, scope tenantschema.Scope, p Principal) ([]Passkey, error) {
	if err := requireUser(p); err != nil {
		return nil, err
	}
	rows, err := scope.Query(ctx, `SELECT id, name, created_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY id DESC`, p.UserID)
	if err != nil {
		return nil, failed("list passkeys", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Passkey, error) {
		var k Passkey
		err := row.Scan(&k.ID, &k.Name, &k.CreatedAt, &k.LastUsedAt)
		k.CreatedAt, k.LastUsedAt = k.CreatedAt.UTC(), inUTC(k.LastUsedAt)
		return k, err
	})
	if err != nil {
		return nil, failed("list passkeys", err)
	}
	return list, nil
}

// RemovePasskey makes one of p's passkeys worthless. p must have shown lately who it is (apperr.Refused).
func (s *Service) RemovePasskey(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID) error {
	if err := s.RequireRecent(p, recently); err != nil {
		return err
	}
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, err := lockAccount(ctx, tx, p.UserID)
		if err != nil {
			return err
		}
		var name string
		if err = tx.QueryRow(ctx, `DELETE FROM passkeys WHERE id = $1 AND user_id = $2 RETURNING name`, id, p.UserID).Scan(&name); err != nil {
			return err
		}
		return s.notify(ctx, tx, a.User, a.Email, fmt.Sprintf("A passkey was removed: %s.", name))
	})
	if err != nil {
		return failedOn("remove passkey", "passkey", id, err)
	}
	return nil
}

// BeginPasskeySignIn gives what the browser needs to ask for a passkey of the site (JSON for PublicKeyCredential.parseRequestOptionsFromJSON,
// in the field publicKey), and the step for [Service.FinishPasskeySignIn]. It names nobody.
func (s *Service) BeginPasskeySignIn(ctx context.Context, scope tenantschema.Scope, site Site) (options json.RawMessage, step string, err error) {
	party, err := relyingParty(site)
	if err != nil {
		return nil, "", failed("begin passkey sign-in", err)
	}
	assertion, session, err := party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", failed("begin passkey sign-in", err)
	}
	if options, err = json.Marshal(assertion); err != nil {
		return nil, "", failed("begin passkey sign-in", err)
	}
	if step, err = s.insertStep(ctx, scope, stepPasskeySignIn, uuid.Nil, session); err != nil {
		return nil, "", failed("begin passkey sign-in", err)
	}
	return options, step, nil
}

// FinishPasskeySignIn signs in whose passkey has answered. The error is apperr.Unauthenticated, always the same, if it is nobody's here, or
// of somebody who is disabled.
func (s *Service) FinishPasskeySignIn(
	ctx context.Context, scope tenantschema.Scope, site Site, step string, response []byte, c Client,
) (SignedIn, error) {
	parsed, err := parsePasskey(response, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return SignedIn{}, errPasskey(err)
	}
	party, err := relyingParty(site)
	if err != nil {
		return SignedIn{}, failed("finish passkey sign-in", err)
	}
	var in SignedIn
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		_, session, err := s.takePasskeyStep(ctx, tx, stepPasskeySignIn, step)
		if err != nil {
			return err
		}
		owner, err := usePasskey(ctx, tx, party, session, parsed, s.now())
		if err != nil {
			return err
		}
		in, err = s.insertSession(ctx, tx, owner, "passkey", c)
		return err
	})
	if err != nil {
		return SignedIn{}, failed("finish passkey sign-in", err)
	}
	return in, nil
}

// usePasskey gives whose passkey it is that has answered, and notes its counter. A counter that went back is a copy of the key.
func usePasskey(
	ctx context.Context, tx *tenantschema.Tx, party *webauthn.WebAuthn, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData,
	now time.Time,
) (User, error) {
	var owner passkeyUser
	var broken error // of the database, which the library would take for an unknown key
	find := func(_, handle []byte) (webauthn.User, error) {
		id, err := uuid.FromBytes(handle)
		if err != nil {
			return nil, err
		}
		if owner, broken = findPasskeyUser(ctx, tx, id); broken == nil && owner.DisabledAt != nil {
			return nil, errors.New("the person is disabled")
		}
		return owner, broken
	}
	_, credential, err := party.ValidatePasskeyLogin(find, session, parsed)
	switch {
	case broken != nil && !isNoRows(broken):
		return User{}, broken
	case err != nil:
		return User{}, errPasskey(err)
	case credential.Authenticator.CloneWarning:
		return User{}, errPasskey(errors.New("the counter went back"))
	}
	text, err := json.Marshal(credential)
	if err != nil {
		return User{}, err
	}
	_, err = tx.Exec(ctx, `UPDATE passkeys SET credential = $3, last_used_at = $4 WHERE user_id = $1 AND credential_id = $2`,
		owner.ID, credential.ID, string(text), now)
	return owner.User, err
}

// findPasskeyUser gives somebody with their passkeys, and keeps others from changing them until tx ends.
func findPasskeyUser(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID) (passkeyUser, error) {
	a, err := lockAccount(ctx, tx, id)
	if err != nil {
		return passkeyUser{}, err
	}
	rows, err := tx.Query(ctx, `SELECT credential::text FROM passkeys WHERE user_id = $1 ORDER BY id`, id)
	if err != nil {
		return passkeyUser{}, err
	}
	credentials, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (webauthn.Credential, error) {
		var text string
		var c webauthn.Credential
		if err := row.Scan(&text); err != nil {
			return c, err
		}
		err := json.Unmarshal([]byte(text), &c)
		return c, err
	})
	return passkeyUser{a.User, credentials}, err
}
