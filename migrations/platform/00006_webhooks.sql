-- Webhooks out: where a customer wants to hear of events, and what became of each event there (pkg/webhook). Deliveries are swept by age:
-- event ids are UUIDv7 of the moment it happened, so the one key serves the list, the foreign key and the sweep.

-- +goose Up
CREATE TABLE webhook_endpoints (
    id               uuid        NOT NULL,
    url              text        NOT NULL,
    description      text        NOT NULL DEFAULT '',
    -- What it wants to hear of; empty is everything.
    event_kinds      text[]      NOT NULL DEFAULT '{}',
    -- Secrets sign, so they are kept as they are. The old one signs, too, until its time is over.
    secret           text        NOT NULL,
    old_secret       text,
    old_secret_until timestamptz,
    -- Since when nothing has succeeded; null after every success.
    failing_since    timestamptz,
    disabled_at      timestamptz,
    disabled_reason  text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoints_url_check CHECK (char_length(url) BETWEEN 1 AND 2000),
    CONSTRAINT webhook_endpoints_description_check CHECK (char_length(description) <= 200),
    CONSTRAINT webhook_endpoints_event_kinds_check CHECK (cardinality(event_kinds) <= 100),
    CONSTRAINT webhook_endpoints_secret_check CHECK (char_length(secret) BETWEEN 32 AND 100),
    CONSTRAINT webhook_endpoints_old_secret_check CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT webhook_endpoints_disabled_reason_check CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);

CREATE TABLE webhook_deliveries (
    endpoint_id     uuid        NOT NULL,
    event_id        uuid        NOT NULL,
    kind            text        NOT NULL,
    -- The body to the byte, since it is what is signed.
    payload         text        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending',
    attempts        integer     NOT NULL DEFAULT 0,
    last_status     integer,
    last_error      text,
    response        text,
    duration_ms     integer,
    next_attempt_at timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (endpoint_id, event_id),
    CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_kind_check CHECK (char_length(kind) BETWEEN 1 AND 64),
    CONSTRAINT webhook_deliveries_payload_check CHECK (octet_length(payload) <= 262144),
    CONSTRAINT webhook_deliveries_state_check CHECK (state IN ('pending', 'succeeded', 'failed')),
    CONSTRAINT webhook_deliveries_response_check CHECK (octet_length(response) <= 1024),
    CONSTRAINT webhook_deliveries_finished_at_check CHECK ((state = 'pending') = (finished_at IS NULL))
);

-- +goose Down
DROP TABLE webhook_deliveries;
DROP TABLE webhook_endpoints;
