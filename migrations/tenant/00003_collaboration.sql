-- What gathers around the work: comments, files, and the feed of what happened.

-- +goose Up
CREATE TABLE comments (
    id         uuid        NOT NULL,
    task_id    uuid        NOT NULL,
    author_id  uuid,
    body       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    edited_at  timestamptz,
    CONSTRAINT comments_pkey PRIMARY KEY (id),
    CONSTRAINT comments_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT comments_author_id_fkey FOREIGN KEY (author_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT comments_body_check CHECK (char_length(body) BETWEEN 1 AND 10000)
);

CREATE INDEX comments_task_id_idx ON comments (task_id, id);
CREATE INDEX comments_author_id_idx ON comments (author_id) WHERE author_id IS NOT NULL;

-- The bytes lie in a file store under storage_key; the row says what they are, and sha256 that they are still the same.
CREATE TABLE attachments (
    id           uuid        NOT NULL,
    task_id      uuid        NOT NULL,
    uploaded_by  uuid,
    file_name    text        NOT NULL,
    content_type text        NOT NULL,
    size_bytes   bigint      NOT NULL,
    sha256       bytea       NOT NULL,
    storage_key  text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT attachments_pkey PRIMARY KEY (id),
    CONSTRAINT attachments_storage_key_key UNIQUE (storage_key),
    CONSTRAINT attachments_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT attachments_uploaded_by_fkey FOREIGN KEY (uploaded_by) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT attachments_file_name_check CHECK (char_length(file_name) BETWEEN 1 AND 255),
    CONSTRAINT attachments_content_type_check CHECK (char_length(content_type) BETWEEN 1 AND 127),
    CONSTRAINT attachments_size_bytes_check CHECK (size_bytes >= 0),
    CONSTRAINT attachments_sha256_check CHECK (octet_length(sha256) = 32),
    CONSTRAINT attachments_storage_key_check CHECK (char_length(storage_key) BETWEEN 1 AND 512)
);

CREATE INDEX attachments_task_id_idx ON attachments (task_id, id);
CREATE INDEX attachments_uploaded_by_idx ON attachments (uploaded_by) WHERE uploaded_by IS NOT NULL;

-- The feed outlives what it tells of: subject_id and project_id are no foreign keys. A job may run twice, so event_id is unique.
-- Event ids are UUIDv7 of the moment it happened: the feed is ordered by them and needs no index on occurred_at.
CREATE TABLE activity (
    id           uuid        NOT NULL,
    event_id     uuid        NOT NULL,
    kind         text        NOT NULL,
    subject_type text        NOT NULL,
    subject_id   uuid        NOT NULL,
    project_id   uuid,
    data         jsonb       NOT NULL DEFAULT '{}',
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT activity_pkey PRIMARY KEY (id),
    CONSTRAINT activity_event_id_key UNIQUE (event_id),
    CONSTRAINT activity_kind_check CHECK (char_length(kind) <= 64 AND kind ~ '^[a-z_]+[.][a-z_]+$'),
    CONSTRAINT activity_subject_type_check CHECK (char_length(subject_type) <= 32 AND subject_type ~ '^[a-z_]+$'),
    CONSTRAINT activity_data_check CHECK (jsonb_typeof(data) = 'object')
);

CREATE INDEX activity_project_id_idx ON activity (project_id, event_id) WHERE project_id IS NOT NULL;
CREATE INDEX activity_subject_id_idx ON activity (subject_id, event_id);

-- +goose Down
DROP TABLE activity;
DROP TABLE attachments;
DROP TABLE comments;
