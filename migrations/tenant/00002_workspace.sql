-- The work: projects, who takes part in them, tasks, and labels to sort tasks by.
-- Deleting is real: a project takes its tasks with it, a task its comments and files. A person who leaves takes nothing along.

-- +goose Up
CREATE TABLE projects (
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    archived_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_name_check CHECK (char_length(name) BETWEEN 1 AND 100),
    CONSTRAINT projects_description_check CHECK (char_length(description) <= 10000)
);

CREATE TABLE project_members (
    project_id uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    role       text        NOT NULL DEFAULT 'member',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT project_members_pkey PRIMARY KEY (project_id, user_id),
    CONSTRAINT project_members_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT project_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT project_members_role_check CHECK (role IN ('lead', 'member', 'viewer'))
);

-- "My projects".
CREATE INDEX project_members_user_id_idx ON project_members (user_id, project_id);

CREATE TABLE tasks (
    id           uuid        NOT NULL,
    project_id   uuid        NOT NULL,
    title        text        NOT NULL,
    description  text        NOT NULL DEFAULT '',
    status       text        NOT NULL DEFAULT 'todo',
    priority     smallint    NOT NULL DEFAULT 0,
    assignee_id  uuid,
    created_by   uuid,
    due_on       date,
    -- Place on the board. A moved task takes the mean of its new neighbours; numeric never runs out of room between two.
    position     numeric     NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    CONSTRAINT tasks_pkey PRIMARY KEY (id),
    CONSTRAINT tasks_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT tasks_assignee_id_fkey FOREIGN KEY (assignee_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT tasks_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT tasks_title_check CHECK (char_length(title) BETWEEN 1 AND 200),
    CONSTRAINT tasks_description_check CHECK (char_length(description) <= 10000),
    CONSTRAINT tasks_status_check CHECK (status IN ('todo', 'doing', 'done', 'cancelled')),
    CONSTRAINT tasks_priority_check CHECK (priority BETWEEN 0 AND 4),
    CONSTRAINT tasks_due_on_check CHECK (isfinite(due_on)),
    -- NaN sorts above Infinity, so this refuses it too.
    CONSTRAINT tasks_position_check CHECK (position > '-Infinity'::numeric AND position < 'Infinity'::numeric),
    CONSTRAINT tasks_completed_at_check CHECK ((status = 'done') = (completed_at IS NOT NULL))
);

-- The lists, newest first: of a project, by status, of a person, by due date. All tasks: the primary key.
CREATE INDEX tasks_project_id_idx ON tasks (project_id, id);
CREATE INDEX tasks_status_idx ON tasks (status, id);
CREATE INDEX tasks_assignee_id_idx ON tasks (assignee_id, id) WHERE assignee_id IS NOT NULL;
CREATE INDEX tasks_due_on_idx ON tasks (due_on, id) WHERE due_on IS NOT NULL;
CREATE INDEX tasks_created_by_idx ON tasks (created_by) WHERE created_by IS NOT NULL;

CREATE TABLE labels (
    id         uuid        NOT NULL,
    name       text        NOT NULL,
    color      text        NOT NULL DEFAULT '#808080',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT labels_pkey PRIMARY KEY (id),
    CONSTRAINT labels_name_check CHECK (char_length(name) BETWEEN 1 AND 50),
    CONSTRAINT labels_color_check CHECK (color ~ '^#[0-9a-f]{6}$')
);

CREATE UNIQUE INDEX labels_name_key ON labels (lower(name));

CREATE TABLE task_labels (
    task_id    uuid        NOT NULL,
    label_id   uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT task_labels_pkey PRIMARY KEY (task_id, label_id),
    CONSTRAINT task_labels_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT task_labels_label_id_fkey FOREIGN KEY (label_id) REFERENCES labels (id) ON DELETE CASCADE
);

-- "Tasks with this label", newest first.
CREATE INDEX task_labels_label_id_idx ON task_labels (label_id, task_id);

-- +goose Down
DROP TABLE task_labels;
DROP TABLE labels;
DROP TABLE tasks;
DROP TABLE project_members;
DROP TABLE projects;
