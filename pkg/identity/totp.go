package identity

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"image/png"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Secrets encrypts what is stored and must be read again, for one tenant and one purpose.
type Secrets interface {
	Seal(tenant tenantschema.Name, purpose string, plaintext []byte) ([]byte, error)
	Open(tenant tenantschema.Name, purpose string, sealed []byte) ([]byte, error)
}

var errNoSecrets = errors.New("identity: Config.Secrets is needed for this")

// TOTPSetup is what somebody puts into an authenticator: the URL, as a QR code in PNG, or the secret by hand.
type TOTPSetup struct {
	Secret, URL string
	QR          []byte
}

const (
	totpPeriod = 30 // seconds of a step
	totpSecret = 20 // bytes, as RFC 4226 advises
	qrSize     = 256

	recoveryCodes = 10
	recoveryBytes = 10 // of each: 80 random bits, so that their hash is nothing to guess
)

func totpPurpose(user uuid.UUID) string { return "totp " + user.String() }

// BeginTOTP makes the secret of p's second factor, which is asked for from [Service.ConfirmTOTP] on. p must have shown lately who it is
// (apperr.Refused), and have none yet (apperr.Conflict).
func (s *Service) BeginTOTP(ctx context.Context, scope tenantschema.Scope, p Principal) (TOTPSetup, error) {
	if err := s.RequireRecent(p, recently); err != nil {
		return TOTPSetup{}, err
	}
	if s.cfg.Secrets == nil {
		return TOTPSetup{}, errNoSecrets
	}
	issuer := "Rowhouse"
	if s.cfg.SiteOf != nil {
		site, err := s.cfg.SiteOf(ctx, scope.Tenant())
		if err != nil {
			return TOTPSetup{}, failed("begin TOTP", err)
		}
		issuer = strings.ReplaceAll(site.Name, ":", " ")
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: p.Email, SecretSize: totpSecret, Period: totpPeriod})
	if err != nil {
		return TOTPSetup{}, failed("begin TOTP", err)
	}
	picture, err := key.Image(qrSize, qrSize)
	if err != nil {
		return TOTPSetup{}, failed("begin TOTP", err)
	}
	var qr bytes.Buffer
	if err = png.Encode(&qr, picture); err != nil {
		return TOTPSetup{}, failed("begin TOTP", err)
	}
	sealed, err := s.cfg.Secrets.Seal(scope.Tenant().Schema, totpPurpose(p.UserID), []byte(key.Secret()))
	if err != nil {
		return TOTPSetup{}, failed("begin TOTP", err)
	}
	const sql = `UPDATE users SET totp_secret = $2, totp_last_step = NULL WHERE id = $1 AND totp_confirmed_at IS NULL`
	tag, err := scope.Exec(ctx, sql, p.UserID, sealed)
	if err != nil {
		return TOTPSetup{}, failed("begin TOTP", err)
	}
	if tag.RowsAffected() == 0 {
		return TOTPSetup{}, apperr.New(apperr.Conflict, "There is a second factor already. Switch it off before you set up another.")
	}
	return TOTPSetup{Secret: key.Secret(), URL: key.URL(), QR: qr.Bytes()}, nil
}

// ConfirmTOTP switches p's second factor on, by a code that the authenticator shows, and gives the recovery codes, which cannot be had again.
// The error is apperr.Invalid, on the field "code", if the code is wrong.
func (s *Service) ConfirmTOTP(ctx context.Context, scope tenantschema.Scope, p Principal, code string) ([]string, error) {
	if err := s.RequireRecent(p, recently); err != nil {
		return nil, err
	}
	var codes []string
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, err := lockAccount(ctx, tx, p.UserID)
		if err != nil {
			return err
		}
		if a.TwoFactor {
			return apperr.New(apperr.Conflict, "The second factor is switched on already.")
		}
		ok, err := s.useTOTP(ctx, tx, a.ID, code)
		if err != nil {
			return err
		}
		if !ok {
			return apperr.New(apperr.Invalid, "The code is wrong.").
				WithField("code", "Give the six digits that your authenticator shows now. If they are refused, check its clock.")
		}
		if _, err = tx.Exec(ctx, `UPDATE users SET totp_confirmed_at = $2 WHERE id = $1`, a.ID, s.now()); err != nil {
			return err
		}
		if codes, err = replaceRecoveryCodes(ctx, tx, a.ID); err != nil {
			return err
		}
		return s.notify(ctx, tx, a.User, a.Email, "Sign-in with a second factor was switched on.")
	})
	if err != nil {
		return nil, failedOn("confirm TOTP", "user", p.UserID, err)
	}
	return codes, nil
}

// DisableTOTP switches p's second factor off. The error is apperr.Invalid, on the field "password", if that is wrong; who has none gives none,
// and must have signed in lately.
func (s *Service) DisableTOTP(ctx context.Context, scope tenantschema.Scope, p Principal, password string) error {
	u, err := s.GetUser(ctx, scope, p.UserID)
	if err != nil {
		return err
	}
	if u.HasPassword {
		err = s.Confirm(ctx, scope, p, password)
	} else {
		err = s.RequireRecent(p, recently)
	}
	if err != nil {
		return err
	}
	return s.dropTOTP(ctx, scope, p.UserID, "Sign-in with a second factor was switched off.")
}

// ResetTOTP switches somebody's second factor off: for the operator, when all codes are lost.
func (s *Service) ResetTOTP(ctx context.Context, scope tenantschema.Scope, user uuid.UUID) error {
	return s.dropTOTP(ctx, scope, user, "Sign-in with a second factor was switched off by the operator.")
}

func (s *Service) dropTOTP(ctx context.Context, scope tenantschema.Scope, user uuid.UUID, what string) error {
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, err := lockAccount(ctx, tx, user)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(`UPDATE users SET totp_secret = NULL, totp_confirmed_at = NULL, totp_last_step = NULL WHERE id = $1`, a.ID)
		b.Queue(`DELETE FROM recovery_codes WHERE user_id = $1`, a.ID)
		if err = tx.SendBatch(ctx, b).Close(); err != nil || !a.TwoFactor {
			return err
		}
		return s.notify(ctx, tx, a.User, a.Email, what)
	})
	if err != nil {
		return failedOn("disable TOTP", "user", user, err)
	}
	return nil
}

// NewRecoveryCodes gives p other recovery codes: those of before open nothing any more.
func (s *Service) NewRecoveryCodes(ctx context.Context, scope tenantschema.Scope, p Principal) ([]string, error) {
	if err := s.RequireRecent(p, recently); err != nil {
		return nil, err
	}
	var codes []string
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, err := lockAccount(ctx, tx, p.UserID)
		if err != nil {
			return err
		}
		if !a.TwoFactor {
			return apperr.New(apperr.Conflict, "There is no second factor. Set one up first.")
		}
		codes, err = replaceRecoveryCodes(ctx, tx, a.ID)
		return err
	})
	if err != nil {
		return nil, failedOn("make recovery codes", "user", p.UserID, err)
	}
	return codes, nil
}

func replaceRecoveryCodes(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID) ([]string, error) {
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM recovery_codes WHERE user_id = $1`, user)
	codes := make([]string, recoveryCodes)
	for i := range codes {
		raw := make([]byte, recoveryBytes)
		_, _ = rand.Read(raw) // Never fails.
		text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes[i] = strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:]}, "-")
		b.Queue(`INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)`, user, hashRecovery(text))
	}
	return codes, tx.SendBatch(ctx, b).Close()
}

func hashRecovery(code string) []byte {
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

// useTOTP reports whether code is that of the step that is, of the one before or the one after, and none of them was used. tx holds the
// person's row.
func (s *Service) useTOTP(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID, code string) (bool, error) {
	if s.cfg.Secrets == nil {
		return false, errNoSecrets
	}
	var sealed []byte
	var last int64
	err := tx.QueryRow(ctx, `SELECT totp_secret, coalesce(totp_last_step, 0) FROM users WHERE id = $1`, user).Scan(&sealed, &last)
	if err != nil || sealed == nil {
		return false, err
	}
	key, err := s.cfg.Secrets.Open(tx.Tenant().Schema, totpPurpose(user), sealed)
	if err != nil {
		return false, err
	}
	now, found := s.now().Unix()/totpPeriod, int64(0)
	for step := now - 1; step <= now+1; step++ {
		want, err := totp.GenerateCodeCustom(string(key), time.Unix(step*totpPeriod, 0), totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix})
		if err != nil {
			return false, err
		}
		if step > last && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	if found == 0 {
		return false, nil
	}
	_, err = tx.Exec(ctx, `UPDATE users SET totp_last_step = $2 WHERE id = $1`, user, found)
	return true, err
}

// useCode reports whether code is one of the authenticator, or a recovery code that was not used. Then it was.
func (s *Service) useCode(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID, code string) (bool, error) {
	code = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(code))
	if len(code) != base32.StdEncoding.EncodedLen(recoveryBytes) {
		return s.useTOTP(ctx, tx, user, code)
	}
	tag, err := tx.Exec(ctx, `UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL`,
		user, hashRecovery(code), s.now())
	return tag.RowsAffected() == 1, err
}
