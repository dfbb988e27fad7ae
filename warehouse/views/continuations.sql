-- grain: one row per completed result of a training and result of the same training further on
-- result_key: the result whose training goes on
-- continued_by: the result that was trained from its state
create or replace view continuations as
with results as (
    select distinct
        result_key,
        train_key,
        coalesce(best_epoch, epochs_trained) as epoch
    from cell_runs
    where status = 'completed' and train_key is not null
)

select distinct
    results.result_key,
    later.result_key as continued_by
from results
inner join epochs on results.train_key = epochs.state_key
inner join results as later
    on epochs.result_key = later.result_key and epochs.epoch < later.epoch;

comment on view continuations is 'one row per completed result of a training and result of the same training further on';
comment on column continuations.result_key is 'the result whose training goes on';
comment on column continuations.continued_by is 'the result that was trained from its state';
