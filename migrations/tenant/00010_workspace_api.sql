-- What the API promises beyond the rows themselves: who did what in the feed.

-- +goose Up
-- Who did it; null for what came by itself, and for who has left.
ALTER TABLE activity ADD COLUMN actor_id uuid;
-- The name of who did it, person or key, as it was then.
ALTER TABLE activity ADD COLUMN actor_name text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE activity DROP COLUMN actor_name;
ALTER TABLE activity DROP COLUMN actor_id;
