-- What the product makes and takes in the background: reports, and files of tasks.

-- +goose Up
-- One report of a kind and day: made again, it replaces the one before. Swept by day.
CREATE TABLE reports (
    id         uuid        NOT NULL,
    day        date        NOT NULL,
    kind       text        NOT NULL,
    -- Whose day it is, as an IANA name.
    time_zone  text        NOT NULL,
    csv        bytea       NOT NULL,
    html       bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reports_pkey PRIMARY KEY (id),
    CONSTRAINT reports_kind_day_key UNIQUE (kind, day),
    CONSTRAINT reports_day_check CHECK (isfinite(day)),
    CONSTRAINT reports_kind_check CHECK (kind IN ('daily')),
    CONSTRAINT reports_time_zone_check CHECK (char_length(time_zone) BETWEEN 1 AND 64)
);

-- done_rows is the cursor: it moves in the transaction that makes the tasks of the rows which it passes.
CREATE TABLE imports (
    id            uuid        NOT NULL,
    project_id    uuid        NOT NULL,
    state         text        NOT NULL DEFAULT 'waiting',
    total_rows    integer     NOT NULL,
    done_rows     integer     NOT NULL DEFAULT 0,
    created_count integer     NOT NULL DEFAULT 0,
    failed_count  integer     NOT NULL DEFAULT 0,
    -- What is wrong with the first hundred bad rows: [{"line": 3, "field": "title", "message": "…"}, …].
    errors        jsonb       NOT NULL DEFAULT '[]',
    -- Where on the board its tasks begin, once it has begun.
    position      numeric,
    -- The upload, until the end.
    content       bytea,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    CONSTRAINT imports_pkey PRIMARY KEY (id),
    CONSTRAINT imports_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT imports_state_check CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    CONSTRAINT imports_rows_check CHECK (done_rows BETWEEN 0 AND total_rows),
    CONSTRAINT imports_counts_check CHECK (created_count >= 0 AND failed_count >= 0 AND created_count + failed_count = done_rows),
    CONSTRAINT imports_errors_check CHECK (jsonb_typeof(errors) = 'array'),
    CONSTRAINT imports_content_check CHECK ((state IN ('waiting', 'running')) = (content IS NOT NULL)),
    CONSTRAINT imports_finished_at_check CHECK ((state IN ('waiting', 'running')) = (finished_at IS NULL))
);

CREATE INDEX imports_project_id_idx ON imports (project_id, id);

-- +goose Down
DROP TABLE imports;
DROP TABLE reports;
