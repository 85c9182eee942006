-- What jobs have done already, by key, so that a job that runs twice has its effect once (pkg/job). Swept by age.

-- +goose Up
CREATE TABLE job_effects (
    key        text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT job_effects_pkey PRIMARY KEY (key),
    CONSTRAINT job_effects_key_check CHECK (octet_length(key) BETWEEN 1 AND 200)
);

CREATE INDEX job_effects_created_at_idx ON job_effects (created_at);

-- +goose Down
DROP TABLE job_effects;
