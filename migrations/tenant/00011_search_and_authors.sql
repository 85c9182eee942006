-- What the API searches by, and who wrote a comment if it was a program.

-- +goose Up
-- The words of a text, kept so that a search does not make them again for every row. No index: the operator @@ may leak what it is given, so that
-- behind a policy PostgreSQL looks at every row first. See docs/api.md for what was measured.
-- lint:allow volatile-default 50,000 tasks take some seconds, once; filled by a job, the column would need the same words from every writer
ALTER TABLE tasks ADD COLUMN words tsvector
    GENERATED ALWAYS AS (setweight(to_tsvector('simple', title), 'A') || to_tsvector('simple', description)) STORED;
-- lint:allow volatile-default as above; comments are fewer and shorter
ALTER TABLE comments ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED;
-- The key by which a program wrote it, and its name then. A person is author_id.
ALTER TABLE comments ADD COLUMN author_key_id uuid;
ALTER TABLE comments ADD COLUMN author_name text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE comments DROP COLUMN author_name;
ALTER TABLE comments DROP COLUMN author_key_id;
ALTER TABLE comments DROP COLUMN words;
ALTER TABLE tasks DROP COLUMN words;
