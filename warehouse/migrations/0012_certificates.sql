-- grain: one row per verification of a result
create table certificates (
    certificate_id varchar not null check (certificate_id <> ''),
    result_key varchar not null check (result_key <> ''),
    cell_id varchar not null check (cell_id <> ''),
    plan_name varchar not null check (plan_name <> ''),
    checked_at timestamptz not null,
    is_equal boolean not null,
    compared_json varchar not null check (json_valid(compared_json)),
    difference varchar,
    environment_json varchar not null check (json_valid(environment_json)),
    seconds double not null check (seconds >= 0),
    primary key (certificate_id),
    check (is_equal = (difference is null))
);

comment on table certificates is 'one row per verification of a result';
comment on column certificates.certificate_id is 'digest of result, time and place';
comment on column certificates.result_key is 'the result that was checked, as in cell_runs';
comment on column certificates.cell_id is 'the cell that was trained again, alone';
comment on column certificates.plan_name is 'the plan that it was checked for';
comment on column certificates.checked_at is 'when training again began (UTC)';
comment on column certificates.is_equal is 'everything compared was equal to the bit';
comment on column certificates.compared_json is 'what was compared, with both digests of each, as JSON';
comment on column certificates.difference is 'what differs; null: nothing';
comment on column certificates.environment_json is 'versions, device and machine that trained again, as JSON';
comment on column certificates.seconds is 'seconds that training again and comparing took';
