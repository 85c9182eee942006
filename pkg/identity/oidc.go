package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// maxProviderAnswer bounds what is read of a provider's answers.
const maxProviderAnswer = 1 << 20

// oidcStep is what a sign-in at a provider remembers. State, nonce and the verifier of PKCE are derived from the step's token, which only the
// browser has.
type oidcStep struct {
	Provider uuid.UUID `json:"provider"`
	Redirect string    `json:"redirect"`
}

// derive makes a text of 43 characters of a step's token, another for each use.
func derive(token, use string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(use))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// errProvider is what somebody is told whose provider did not confirm who it is.
func errProvider(err error) error {
	return apperr.Wrap(err, apperr.Unauthenticated, "The provider did not confirm who you are. Begin again, or ask who manages it.")
}

// discover asks a provider where its endpoints are.
func (s *Service) discover(ctx context.Context, issuer string) (*oidc.Provider, error) {
	if s.cfg.HTTP == nil {
		return nil, errors.New("identity: Config.HTTP is needed to reach providers")
	}
	return oidc.NewProvider(s.withHTTP(ctx), issuer)
}

// withHTTP has the libraries use our client, and read no more than they should.
func (s *Service) withHTTP(ctx context.Context) context.Context {
	client := *s.cfg.HTTP
	client.Transport = bounded{client.Transport}
	return oidc.ClientContext(ctx, &client)
}

// bounded cuts the bodies of answers.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxProviderAnswer), resp.Body}
	}
	return resp, err
}

// findProvider gives a provider that may be used.
func findProvider(ctx context.Context, db tenantschema.DBTX, id uuid.UUID) (Provider, error) {
	p, err := queryProvider(ctx, db, `SELECT `+providerColumns+` FROM oidc_providers WHERE id = $1 AND disabled_at IS NULL`, id)
	if isNoRows(err) {
		return Provider{}, apperr.New(apperr.NotFound, "There is no such provider here.")
	}
	return p, err
}

// BeginOIDC gives where the browser is to be sent to sign in at a provider, and the step, which belongs into a cookie, for [Service.FinishOIDC].
// redirectURL is where the provider sends it back to.
func (s *Service) BeginOIDC(
	ctx context.Context, scope tenantschema.Scope, providerID uuid.UUID, redirectURL string,
) (authURL, step string, err error) {
	p, err := findProvider(ctx, scope, providerID)
	if err != nil {
		return "", "", failed("begin OIDC", err)
	}
	remote, err := s.discover(ctx, p.Issuer)
	if err != nil {
		return "", "", apperr.Wrap(err, apperr.Unavailable, "%s does not answer. Try again in a moment, or sign in otherwise.", p.Name)
	}
	if step, err = s.insertStep(ctx, scope, stepOIDC, uuid.Nil, oidcStep{Provider: p.ID, Redirect: redirectURL}); err != nil {
		return "", "", failed("begin OIDC", err)
	}
	client := oauth2.Config{
		ClientID: p.ClientID, Endpoint: remote.Endpoint(), RedirectURL: redirectURL, Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
	return client.AuthCodeURL(derive(step, "state"), oidc.Nonce(derive(step, "nonce")), oauth2.S256ChallengeOption(derive(step, "pkce"))), step, nil
}

// FinishOIDC signs in who comes back from a provider with a state and a code. The error is apperr.Unauthenticated if the provider does not confirm
// them, or step and state do not belong together; Forbidden if they are nobody here and may not join. A provider confirms a second
// factor, if it wants one: none is asked for here. It lets in no owner, since who manages providers may be none.
func (s *Service) FinishOIDC(
	ctx context.Context, scope tenantschema.Scope, step, state, code, redirectURL string, c Client,
) (SignedIn, error) {
	begun, err := s.takeStep(ctx, scope, stepOIDC, step)
	if err != nil {
		return SignedIn{}, failed("finish OIDC", err)
	}
	var remembered oidcStep
	if err = json.Unmarshal(begun.data, &remembered); err != nil {
		return SignedIn{}, failed("finish OIDC", err)
	}
	if subtle.ConstantTimeCompare([]byte(state), []byte(derive(step, "state"))) != 1 || redirectURL != remembered.Redirect {
		return SignedIn{}, errStep()
	}
	p, err := findProvider(ctx, scope, remembered.Provider)
	if err != nil {
		return SignedIn{}, failed("finish OIDC", err)
	}
	secret, err := s.clientSecret(ctx, scope, p.ID)
	if err != nil {
		return SignedIn{}, failed("finish OIDC", err)
	}
	who, err := s.exchange(ctx, p, secret, step, code, redirectURL)
	if err != nil {
		return SignedIn{}, errProvider(err)
	}
	var in SignedIn
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		u, err := s.memberOf(ctx, tx, p, who)
		if err != nil {
			return err
		}
		in, err = s.insertSession(ctx, tx, u, "oidc", c)
		return err
	})
	if err != nil {
		return SignedIn{}, failed("finish OIDC", err)
	}
	return in, nil
}

func (s *Service) clientSecret(ctx context.Context, scope tenantschema.Scope, provider uuid.UUID) (string, error) {
	if s.cfg.Secrets == nil {
		return "", errNoSecrets
	}
	var sealed []byte
	if err := scope.QueryRow(ctx, `SELECT client_secret FROM oidc_providers WHERE id = $1`, provider).Scan(&sealed); err != nil {
		return "", err
	}
	secret, err := s.cfg.Secrets.Open(scope.Tenant().Schema, providerPurpose(provider), sealed)
	return string(secret), err
}

// claims are what a provider says of somebody.
type claims struct {
	subject  string
	email    string
	verified bool
	name     string
}

// exchange trades the code for what the provider says of somebody, and checks that it is said by the provider, to us, now.
func (s *Service) exchange(ctx context.Context, p Provider, secret, step, code, redirectURL string) (claims, error) {
	ctx = s.withHTTP(ctx)
	remote, err := s.discover(ctx, p.Issuer)
	if err != nil {
		return claims{}, err
	}
	client := oauth2.Config{ClientID: p.ClientID, ClientSecret: secret, Endpoint: remote.Endpoint(), RedirectURL: redirectURL}
	token, err := client.Exchange(ctx, code, oauth2.VerifierOption(derive(step, "pkce")))
	if err != nil {
		return claims{}, err
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return claims{}, errors.New("the provider gave no ID token")
	}
	id, err := remote.VerifierContext(ctx, &oidc.Config{ClientID: p.ClientID, Now: s.cfg.Clock}).Verify(ctx, raw)
	if err != nil {
		return claims{}, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(derive(step, "nonce"))) != 1 {
		return claims{}, errors.New("the ID token has another nonce")
	}
	var said struct {
		Email    string    `json:"email"`
		Verified looseBool `json:"email_verified"`
		Name     string    `json:"name"`
	}
	if err = id.Claims(&said); err != nil {
		return claims{}, err
	}
	who := claims{subject: id.Subject, email: said.Email, verified: bool(said.Verified), name: said.Name}
	if who.email != "" {
		return who, nil
	}
	info, err := remote.UserInfo(ctx, oauth2.StaticTokenSource(token)) // Some say little in the token.
	if err != nil {
		return claims{}, err
	}
	if info.Subject != id.Subject {
		return claims{}, errors.New("the provider's user info is about somebody else")
	}
	who.email, who.verified = info.Email, info.EmailVerified
	return who, nil
}

// looseBool is a boolean that some providers write as a text.
type looseBool bool

func (b *looseBool) UnmarshalJSON(text []byte) error {
	*b = looseBool(string(text) == "true" || string(text) == `"true"`)
	return nil
}
