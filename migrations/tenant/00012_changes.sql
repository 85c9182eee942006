-- What changed lately, so that pages that show it are brought up to date. A row is written in the transaction of the change, holds ids alone, and
-- is of use for half a minute; the nightly sweep removes it. Ids are UUIDv7 of the moment.

-- +goose Up
CREATE TABLE changes (
    id         uuid NOT NULL,
    project_id uuid,
    task_id    uuid,
    CONSTRAINT changes_pkey PRIMARY KEY (id)
);

-- +goose Down
DROP TABLE changes;
