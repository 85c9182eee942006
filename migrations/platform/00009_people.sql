-- How people enter: roles, invitations, links by mail, second factors, passkeys, sign-in at a provider of the tenant's own. All that opens a door is
-- kept as a SHA-256 of what its holder has, or encrypted under a key of the tenant's; all of it lies here, so that of one tenant is nothing at another.
-- And what serves them all: answers that are given again to a request that is sent again, and the tenant's own settings.

-- +goose Up
ALTER TABLE users DROP CONSTRAINT users_role_check;
ALTER TABLE users ADD CONSTRAINT users_role_check CHECK (role IN ('owner', 'admin', 'member', 'guest')) NOT VALID;
-- The secret is encrypted; a step of 30 s that was used opens nothing a second time.
ALTER TABLE users ADD COLUMN totp_secret bytea;
ALTER TABLE users ADD COLUMN totp_confirmed_at timestamptz;
ALTER TABLE users ADD COLUMN totp_last_step bigint;
ALTER TABLE users ADD COLUMN last_seen_at timestamptz;

ALTER TABLE sessions ADD COLUMN method text NOT NULL DEFAULT 'password';
ALTER TABLE sessions ADD COLUMN remote_address text NOT NULL DEFAULT '';
-- When who is signed in last proved it: what is dangerous wants that to be recent.
ALTER TABLE sessions ADD COLUMN confirmed_at timestamptz;

ALTER TABLE api_keys DROP CONSTRAINT api_keys_scopes_check;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_scopes_check
    CHECK (cardinality(scopes) >= 1 AND scopes <@ ARRAY['read', 'write', 'admin']::text[]) NOT VALID;

-- lint:allow validate-constraint A tenant has few users: they are looked at in a moment.
ALTER TABLE users VALIDATE CONSTRAINT users_role_check;
-- lint:allow validate-constraint Nor has it many keys.
ALTER TABLE api_keys VALIDATE CONSTRAINT api_keys_scopes_check;

CREATE TABLE invitations (
    id          uuid        NOT NULL,
    email       text        NOT NULL,
    role        text        NOT NULL,
    token_hash  bytea       NOT NULL,
    invited_by  uuid,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at  timestamptz,
    CONSTRAINT invitations_pkey PRIMARY KEY (id),
    CONSTRAINT invitations_token_hash_key UNIQUE (token_hash),
    CONSTRAINT invitations_invited_by_fkey FOREIGN KEY (invited_by) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT invitations_email_check CHECK (char_length(email) BETWEEN 3 AND 254 AND position('@' IN email) > 1),
    CONSTRAINT invitations_role_check CHECK (role IN ('admin', 'member', 'guest')),
    CONSTRAINT invitations_token_hash_check CHECK (octet_length(token_hash) = 32),
    CONSTRAINT invitations_expires_at_check CHECK (expires_at > created_at)
);

-- One open invitation per person.
CREATE UNIQUE INDEX invitations_email_key ON invitations (lower(email)) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_invited_by_idx ON invitations (invited_by) WHERE invited_by IS NOT NULL;

-- Links that were sent by mail, or given once: each opens one thing, once.
CREATE TABLE user_tokens (
    id         uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    kind       text        NOT NULL,
    token_hash bytea       NOT NULL,
    -- What it is about: the address to be verified.
    subject    text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    CONSTRAINT user_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT user_tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT user_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT user_tokens_kind_check CHECK (kind IN ('reset', 'verify', 'welcome')),
    CONSTRAINT user_tokens_token_hash_check CHECK (octet_length(token_hash) = 32),
    CONSTRAINT user_tokens_subject_check CHECK (char_length(subject) <= 254)
);

CREATE INDEX user_tokens_user_id_idx ON user_tokens (user_id, kind);

CREATE TABLE recovery_codes (
    user_id   uuid        NOT NULL,
    code_hash bytea       NOT NULL,
    used_at   timestamptz,
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_hash),
    CONSTRAINT recovery_codes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT recovery_codes_code_hash_check CHECK (octet_length(code_hash) = 32)
);

CREATE TABLE passkeys (
    id            uuid        NOT NULL,
    user_id       uuid        NOT NULL,
    name          text        NOT NULL,
    credential_id bytea       NOT NULL,
    -- What WebAuthn has to know of it again: public key, counter, flags.
    credential    jsonb       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    CONSTRAINT passkeys_pkey PRIMARY KEY (id),
    CONSTRAINT passkeys_credential_id_key UNIQUE (credential_id),
    CONSTRAINT passkeys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT passkeys_name_check CHECK (char_length(name) BETWEEN 1 AND 100),
    CONSTRAINT passkeys_credential_id_check CHECK (octet_length(credential_id) BETWEEN 1 AND 1023)
);

CREATE INDEX passkeys_user_id_idx ON passkeys (user_id);

-- Providers of OpenID Connect by which the tenant's people sign in. The client's secret is encrypted.
CREATE TABLE oidc_providers (
    id            uuid        NOT NULL,
    name          text        NOT NULL,
    issuer        text        NOT NULL,
    client_id     text        NOT NULL,
    client_secret bytea       NOT NULL,
    -- The role of who signs in for the first time; without one only those come in who are members already.
    join_role     text,
    -- Addresses that may join: the part after the @. Empty is all that the provider has verified.
    join_domains  text[]      NOT NULL DEFAULT '{}',
    disabled_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT oidc_providers_pkey PRIMARY KEY (id),
    CONSTRAINT oidc_providers_issuer_key UNIQUE (issuer, client_id),
    CONSTRAINT oidc_providers_name_check CHECK (char_length(name) BETWEEN 1 AND 100),
    CONSTRAINT oidc_providers_issuer_check CHECK (char_length(issuer) BETWEEN 1 AND 2000),
    CONSTRAINT oidc_providers_client_id_check CHECK (char_length(client_id) BETWEEN 1 AND 500),
    CONSTRAINT oidc_providers_join_role_check CHECK (join_role IN ('admin', 'member', 'guest')),
    CONSTRAINT oidc_providers_join_domains_check CHECK (cardinality(join_domains) <= 100)
);

CREATE TABLE oidc_identities (
    provider_id uuid        NOT NULL,
    subject     text        NOT NULL,
    user_id     uuid        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT oidc_identities_pkey PRIMARY KEY (provider_id, subject),
    CONSTRAINT oidc_identities_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES oidc_providers (id) ON DELETE CASCADE,
    CONSTRAINT oidc_identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT oidc_identities_subject_check CHECK (char_length(subject) BETWEEN 1 AND 255)
);

CREATE INDEX oidc_identities_user_id_idx ON oidc_identities (user_id);

-- What has begun and waits for its second half: a password that wants a second factor, a passkey's answer, a provider's redirect. It lives for
-- minutes and serves once.
CREATE TABLE sign_in_steps (
    id         uuid        NOT NULL,
    kind       text        NOT NULL,
    user_id    uuid,
    token_hash bytea       NOT NULL,
    data       jsonb       NOT NULL DEFAULT '{}',
    attempts   integer     NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT sign_in_steps_pkey PRIMARY KEY (id),
    CONSTRAINT sign_in_steps_token_hash_key UNIQUE (token_hash),
    CONSTRAINT sign_in_steps_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT sign_in_steps_kind_check CHECK (kind IN ('second_factor', 'passkey_sign_in', 'passkey_add', 'oidc')),
    CONSTRAINT sign_in_steps_token_hash_check CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX sign_in_steps_user_id_idx ON sign_in_steps (user_id) WHERE user_id IS NOT NULL;
-- For the sweep of what has expired.
CREATE INDEX sign_in_steps_expires_at_idx ON sign_in_steps (expires_at);

-- How often somebody failed to enter lately, by account or by address (as SHA-256), known or not.
CREATE TABLE sign_in_failures (
    subject    bytea       NOT NULL,
    failures   integer     NOT NULL,
    last_at    timestamptz NOT NULL,
    CONSTRAINT sign_in_failures_pkey PRIMARY KEY (subject),
    CONSTRAINT sign_in_failures_subject_check CHECK (octet_length(subject) = 32)
);

CREATE INDEX sign_in_failures_last_at_idx ON sign_in_failures (last_at);

-- The answer to a request that came with an Idempotency-Key, for a day. A row without a status is a request that is being worked on.
CREATE TABLE idempotency_keys (
    -- SHA-256 of the caller and the key that it chose.
    id           bytea       NOT NULL,
    request_hash bytea       NOT NULL,
    status       integer,
    header       jsonb       NOT NULL DEFAULT '{}',
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (id),
    CONSTRAINT idempotency_keys_id_check CHECK (octet_length(id) = 32),
    CONSTRAINT idempotency_keys_request_hash_check CHECK (octet_length(request_hash) = 32),
    CONSTRAINT idempotency_keys_body_check CHECK (octet_length(body) <= 1048576)
);

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

-- What the tenant has chosen for itself: its branding, and the like. A document per subject.
CREATE TABLE settings (
    key        text        NOT NULL,
    value      jsonb       NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT settings_pkey PRIMARY KEY (key),
    CONSTRAINT settings_key_check CHECK (char_length(key) BETWEEN 1 AND 64),
    CONSTRAINT settings_value_check CHECK (octet_length(value::text) <= 65536)
);

-- +goose Down
DROP TABLE settings;
DROP TABLE idempotency_keys;
DROP TABLE sign_in_failures;
DROP TABLE sign_in_steps;
DROP TABLE oidc_identities;
DROP TABLE oidc_providers;
DROP TABLE passkeys;
DROP TABLE recovery_codes;
DROP TABLE user_tokens;
DROP TABLE invitations;
DELETE FROM api_keys WHERE 'admin' = ANY (scopes);
ALTER TABLE api_keys DROP CONSTRAINT api_keys_scopes_check;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_scopes_check CHECK (cardinality(scopes) >= 1 AND scopes <@ ARRAY['read', 'write']::text[]);
ALTER TABLE sessions DROP COLUMN confirmed_at;
ALTER TABLE sessions DROP COLUMN remote_address;
ALTER TABLE sessions DROP COLUMN method;
ALTER TABLE users DROP COLUMN last_seen_at;
ALTER TABLE users DROP COLUMN totp_last_step;
ALTER TABLE users DROP COLUMN totp_confirmed_at;
ALTER TABLE users DROP COLUMN totp_secret;
UPDATE users SET role = 'member' WHERE role = 'guest';
ALTER TABLE users DROP CONSTRAINT users_role_check;
ALTER TABLE users ADD CONSTRAINT users_role_check CHECK (role IN ('owner', 'admin', 'member'));
