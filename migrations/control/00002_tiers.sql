-- +goose Up
-- Tenants are sealed unless they are made otherwise. Those that are there keep their tier: `rowhouse tenant set-tier` seals them.
alter table rowhouse.tenants alter column tier set default 'sealed';
-- The password of a dedicated tenant's own login role, encrypted with a key that derives from the login secret.
alter table rowhouse.tenants add column login bytea;
alter table rowhouse.tenants add constraint tenants_login_check check (tier <> 'dedicated' or login is not null);

-- Groups of tenants that share a login role. How many roles a login may enter decides how long PostgreSQL takes to look its memberships up
-- again after each change of any.
create table rowhouse.cells (
    number     integer     not null,
    created_at timestamptz not null default now(),
    constraint cells_pkey primary key (number),
    constraint cells_number_check check (number between 1 and 9999)
);
insert into rowhouse.cells (number) values (1);
create index tenants_cell_idx on rowhouse.tenants (cell) where state <> 'deleted';

-- Roles of tenants to come: made in blocks, each for one cell.
create table rowhouse.spare_roles (
    id       text    not null,
    cell     integer not null,
    -- When a creation took it; one that crashed gives it back after an hour.
    taken_at timestamptz,
    constraint spare_roles_pkey primary key (id),
    constraint spare_roles_id_check check (id ~ '^[a-z0-9]{16}$'),
    constraint spare_roles_cell_fkey foreign key (cell) references rowhouse.cells (number)
);

-- +goose Down
drop table rowhouse.spare_roles;
drop index rowhouse.tenants_cell_idx;
drop table rowhouse.cells;
alter table rowhouse.tenants drop constraint tenants_login_check;
alter table rowhouse.tenants drop column login;
alter table rowhouse.tenants alter column tier set default 'pooled';
