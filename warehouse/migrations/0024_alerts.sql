-- grain: one row per alert and who is told of it: per plan, cell, rule, result and channel
create table alerts (
    alert_id varchar not null check (alert_id <> ''),
    run_id varchar not null check (run_id <> ''),
    plan_name varchar not null check (plan_name <> ''),
    cell_id varchar not null check (cell_id <> ''),
    label varchar not null,
    result_key varchar,
    rule varchar not null check (rule <> ''),
    value double,
    epoch integer check (epoch >= 1),
    message varchar not null,
    channel varchar not null check (channel <> ''),
    raised_at timestamptz not null,
    status varchar not null check (status in ('delivered', 'pending', 'given up')),
    tries integer not null check (tries >= 0),
    told_at timestamptz,
    error varchar,
    primary key (alert_id),
    check ((status = 'delivered') = (told_at is not null))
);

comment on table alerts is 'one row per alert and who is told of it: per plan, cell, rule, result and channel';
comment on column alerts.alert_id is 'what makes it the same alert; a webhook gets it as Idempotency-Key';
comment on column alerts.run_id is 'the run that found it, as in runs';
comment on column alerts.plan_name is 'the plan whose rule it is';
comment on column alerts.cell_id is 'the cell, as in cells, or the composite, as in composites';
comment on column alerts.label is 'what the plan calls it';
comment on column alerts.result_key is 'the result that the rule looked at, as in cell_runs; null: there is none, or not yet';
comment on column alerts.rule is 'what the plan asks to be told: a condition';
comment on column alerts.value is 'the metric that the condition compares, or seconds; null: none, or no finite number';
comment on column alerts.epoch is 'epoch that the value is of, from 1; null: it is that of the result';
comment on column alerts.message is 'a sentence';
comment on column alerts.channel is 'who is told: log, a webhook (its address only as far as it is no secret) or a Prefect block';
comment on column alerts.raised_at is 'when it was found (UTC)';
comment on column alerts.status is 'delivered, pending (the next run tries again) or given up';
comment on column alerts.tries is 'runs that tried to deliver it';
comment on column alerts.told_at is 'when it was delivered (UTC); null: it was not';
comment on column alerts.error is 'why the last try failed; null: it did not, or there was none';
