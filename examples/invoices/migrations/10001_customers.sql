-- Who is sent invoices. No schema is named: this runs in each tenant's own.

-- +goose Up
CREATE TABLE customers (
    id         uuid        NOT NULL,
    name       text        NOT NULL,
    email      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT customers_pkey PRIMARY KEY (id),
    CONSTRAINT customers_name_check CHECK (char_length(name) BETWEEN 1 AND 100),
    CONSTRAINT customers_email_check CHECK (char_length(email) BETWEEN 3 AND 254)
);

-- +goose Down
DROP TABLE customers;
