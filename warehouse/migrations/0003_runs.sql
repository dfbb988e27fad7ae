-- grain: one row per run, that is: one execution of a plan
create table runs (
    run_id varchar not null check (run_id <> ''),
    plan_id varchar not null check (plan_id <> ''),
    plan_name varchar not null check (plan_name <> ''),
    started_at timestamptz not null,
    finished_at timestamptz,
    status varchar not null
        check (status in ('running', 'completed', 'failed', 'cancelled', 'crashed')),
    cells integer not null check (cells >= 0),
    cells_failed integer not null check (cells_failed >= 0),
    predicted_json varchar check (json_valid(predicted_json)),
    counted_json varchar check (json_valid(counted_json)),
    wall_seconds double check (wall_seconds >= 0),
    device varchar,
    environment_json varchar check (json_valid(environment_json)),
    set_json varchar check (json_valid(set_json)),
    primary key (run_id),
    check (cells_failed <= cells)
);

comment on table runs is 'one row per run, that is: one execution of a plan';
comment on column runs.run_id is 'id of the flow run';
comment on column runs.plan_id is 'the plan that ran, as in plans';
comment on column runs.plan_name is 'its name';
comment on column runs.started_at is 'when the run began (UTC)';
comment on column runs.finished_at is 'when it ended (UTC); null: not yet, or killed';
comment on column runs.status is 'running, completed, failed, cancelled or crashed';
comment on column runs.cells is 'cells of the plan';
comment on column runs.cells_failed is 'cells that failed';
comment on column runs.predicted_json is 'work that was predicted before the run, as JSON';
comment on column runs.counted_json is 'work that was counted in the run, as JSON';
comment on column runs.wall_seconds is 'seconds from begin to end on the clock on the wall';
comment on column runs.device is 'device that trained: cpu, mps or cuda and its number';
comment on column runs.environment_json is 'versions, host and commit, as JSON';
comment on column runs.set_json is 'overrides of the command line (--set), as JSON';
