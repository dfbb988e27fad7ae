-- grain: one row per result and optimiser step, where a plan asked for them (`record`)
create table steps (
    result_key varchar not null check (result_key <> ''),
    step integer not null check (step >= 1),
    epoch integer not null check (epoch >= 1),
    images integer not null check (images >= 1),
    loss double not null,
    gradient_norm double,
    learning_rate double not null check (learning_rate >= 0),
    group_rates_json varchar,
    primary key (result_key, step)
);

comment on table steps is 'one row per result and optimiser step, where a plan asked for them (`record`)';
comment on column steps.result_key is 'the result, as in cell_runs';
comment on column steps.step is 'step, from 1, over the whole training; also counts epochs that were computed without being recorded';
comment on column steps.epoch is 'epoch that it belongs to, from 1';
comment on column steps.images is 'images that it learned from';
comment on column steps.loss is 'mean loss over these images as the step saw them: changed, mixed, smoothed (NaN or infinite where it diverged)';
comment on column steps.gradient_norm is 'L2 norm of all gradients together, before they were cut; null: not asked for';
comment on column steps.learning_rate is 'learning rate of a group whose factor is 1';
comment on column steps.group_rates_json is 'learning rate of each group of blocks, as JSON; null: all learn at learning_rate';
