-- Invoices and what is on them. Money is in cents.

-- +goose Up
CREATE TABLE invoices (
    id          uuid        NOT NULL,
    customer_id uuid        NOT NULL,
    due_on      date        NOT NULL,
    paid_at     timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT invoices_pkey PRIMARY KEY (id),
    CONSTRAINT invoices_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id)
);

CREATE INDEX invoices_customer_id_idx ON invoices (customer_id);
-- For the daily search of what is overdue.
CREATE INDEX invoices_due_on_idx ON invoices (due_on) WHERE paid_at IS NULL;

CREATE TABLE invoice_lines (
    invoice_id uuid    NOT NULL,
    position   integer NOT NULL,
    text       text    NOT NULL,
    quantity   integer NOT NULL,
    unit_cents bigint  NOT NULL,
    CONSTRAINT invoice_lines_pkey PRIMARY KEY (invoice_id, position),
    CONSTRAINT invoice_lines_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES invoices (id) ON DELETE CASCADE,
    CONSTRAINT invoice_lines_text_check CHECK (char_length(text) BETWEEN 1 AND 200),
    CONSTRAINT invoice_lines_quantity_check CHECK (quantity > 0),
    CONSTRAINT invoice_lines_unit_cents_check CHECK (unit_cents >= 0)
);

-- +goose Down
DROP TABLE invoice_lines;
DROP TABLE invoices;
