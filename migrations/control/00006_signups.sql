-- +goose Up
-- What a slug looks like: 0 is o, 1 and i are l, m is rn, w is vv, and hyphens are nothing. Two slugs that people take for each other have the
-- same. `Skeleton` in pkg/tenancy says the same in Go.
alter table rowhouse.tenants add column slug_skeleton text
    generated always as (replace(replace(translate(slug, '01i-', 'oll'), 'm', 'rn'), 'w', 'vv')) stored;
create index tenants_skeleton_idx on rowhouse.tenants (slug_skeleton);
-- What asked for the tenant, if something did that may ask again: what is made for one is never given to another.
alter table rowhouse.tenants add column request uuid;
create unique index tenants_request_key on rowhouse.tenants (request) where request is not null;

-- People who sign up, from when they have sent the form until a day later. Who serves the form may add a row and look how it stands, and read
-- neither passwords' hashes nor change anything; who makes the tenant holds the owner's credentials.
create table rowhouse.signups (
    id            uuid        not null,
    slug          text        not null,
    slug_skeleton text        not null generated always as (replace(replace(translate(slug, '01i-', 'oll'), 'm', 'rn'), 'w', 'vv')) stored,
    name          text        not null,
    email         text        not null,
    display_name  text        not null,
    -- Argon2id. Gone when the sign-up has ended.
    password_hash text,
    -- Of the token that signs the person in at the new tenant, and of the one that the browser holds: SHA-256.
    welcome_hash  bytea       not null,
    browser_hash  bytea       not null,
    -- HMAC of the address that it came from: an IPv4 address, or the /64 of an IPv6 address.
    address_hash  bytea       not null,
    -- waiting: nobody is at it yet. making: somebody is, or has died. made: the tenant is there, its owner is not.
    state         text        not null default 'waiting',
    -- Why it failed: taken, or failed.
    error         text        not null default '',
    created_at    timestamptz not null default now(),
    finished_at   timestamptz,
    constraint signups_pkey primary key (id),
    constraint signups_slug_check check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint signups_name_check check (char_length(name) between 1 and 200),
    constraint signups_email_check check (char_length(email) between 3 and 254),
    constraint signups_display_name_check check (char_length(display_name) between 1 and 200),
    constraint signups_hashes_check check (octet_length(welcome_hash) = 32 and octet_length(browser_hash) = 32 and octet_length(address_hash) = 32),
    constraint signups_state_check check (state in ('waiting', 'making', 'made', 'done', 'failed')),
    constraint signups_error_check check ((state = 'failed') = (error <> '') and error in ('', 'taken', 'failed')),
    constraint signups_finished_check check ((state in ('done', 'failed')) = (finished_at is not null)),
    constraint signups_password_check check ((finished_at is null) = (password_hash is not null))
);
-- A name is kept for who asked first, and so is everything that looks like it.
create unique index signups_pending_key on rowhouse.signups (slug_skeleton) where finished_at is null;
create index signups_created_idx on rowhouse.signups (created_at);
create index signups_address_idx on rowhouse.signups (address_hash, created_at);

-- +goose Down
drop table rowhouse.signups;
drop index rowhouse.tenants_request_key;
alter table rowhouse.tenants drop column request;
drop index rowhouse.tenants_skeleton_idx;
alter table rowhouse.tenants drop column slug_skeleton;
