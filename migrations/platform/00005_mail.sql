-- The mails that the tenant's people are sent: an outbox. A row and the job that delivers it are committed together; the job holds the id
-- alone. What a mail says is removed once nobody will send it any more, because a link that lets somebody in must not outlive its mail.

-- +goose Up
CREATE TABLE mails (
    id         uuid        NOT NULL,
    kind       text        NOT NULL,
    to_name    text        NOT NULL DEFAULT '',
    to_address text        NOT NULL,
    subject    text        NOT NULL,
    text_body  text        NOT NULL,
    html_body  text        NOT NULL DEFAULT '',
    message_id text        NOT NULL,
    state      text        NOT NULL DEFAULT 'queued',
    attempts   integer     NOT NULL DEFAULT 0,
    last_error text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz,
    CONSTRAINT mails_pkey PRIMARY KEY (id),
    CONSTRAINT mails_kind_check CHECK (char_length(kind) <= 64 AND kind ~ '^[a-z][a-z_]*$'),
    CONSTRAINT mails_to_name_check CHECK (char_length(to_name) <= 100),
    CONSTRAINT mails_to_address_check CHECK (char_length(to_address) BETWEEN 3 AND 254 AND position('@' IN to_address) > 1),
    CONSTRAINT mails_subject_check CHECK (char_length(subject) BETWEEN 1 AND 200),
    CONSTRAINT mails_text_body_check CHECK (octet_length(text_body) <= 262144 AND (state = 'queued') = (text_body <> '')),
    CONSTRAINT mails_html_body_check CHECK (octet_length(html_body) <= 1048576),
    CONSTRAINT mails_message_id_check CHECK (char_length(message_id) BETWEEN 3 AND 320),
    CONSTRAINT mails_state_check CHECK (state IN ('queued', 'sent', 'failed')),
    CONSTRAINT mails_attempts_check CHECK (attempts >= 0),
    CONSTRAINT mails_last_error_check CHECK (char_length(last_error) <= 1000),
    CONSTRAINT mails_sent_at_check CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);

-- +goose Down
DROP TABLE mails;
