-- How far data migrations have come that run in batches (pkg/job). A batch moves the cursor in its own transaction.

-- +goose Up
CREATE TABLE backfills (
    name        text        NOT NULL,
    cursor      text        NOT NULL DEFAULT '',
    done_rows   bigint      NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT backfills_pkey PRIMARY KEY (name),
    CONSTRAINT backfills_name_check CHECK (char_length(name) BETWEEN 1 AND 100),
    CONSTRAINT backfills_cursor_check CHECK (char_length(cursor) <= 1000),
    CONSTRAINT backfills_done_rows_check CHECK (done_rows >= 0)
);

-- +goose Down
DROP TABLE backfills;
