-- What the API promises beyond the rows themselves: answers that are given again to a request that is sent again, who did what in the feed, and
-- the tenant's own settings.

-- +goose Up
ALTER TABLE users VALIDATE CONSTRAINT users_role_check;
ALTER TABLE api_keys VALIDATE CONSTRAINT api_keys_scopes_check;

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

-- Who did it; null for what came by itself, and for who has left.
ALTER TABLE activity ADD COLUMN actor_id uuid;
-- The name of who did it, person or key, as it was then.
ALTER TABLE activity ADD COLUMN actor_name text NOT NULL DEFAULT '';

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
ALTER TABLE activity DROP COLUMN actor_name;
ALTER TABLE activity DROP COLUMN actor_id;
DROP TABLE idempotency_keys;
