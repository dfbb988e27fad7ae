-- grain: one row per distinct plan text (digest of its canonical JSON)
create table plans (
    plan_id varchar not null check (plan_id <> ''),
    plan_name varchar not null check (plan_name <> ''),
    description varchar,
    plan_json varchar not null check (json_valid(plan_json)),
    source_path varchar,
    primary key (plan_id)
);

comment on table plans is 'one row per distinct plan text';
comment on column plans.plan_id is 'digest of the canonical JSON of the plan';
comment on column plans.plan_name is 'name that the plan gives itself; an edited plan keeps it';
comment on column plans.description is 'what the plan says about itself; null: nothing';
comment on column plans.plan_json is 'the whole plan as JSON in the order of its file, overrides applied';
comment on column plans.source_path is 'file that it was read from; null: given as text';
