-- grain: one row per cell, epoch (from 1) and split, of the latest result of the cell
-- cell_id, result_key: the cell and the result that the curve belongs to
-- epoch: from 1
-- split: train, valid or test; a split without any figure has no row
-- loss, accuracy: mean over the images of the split; accuracy in [0, 1]
-- learning_rate: of the last step of the epoch
-- is_result: the state after the epoch is the result (a stop rule may restore an earlier one)
create or replace view learning_curves as
with latest as (
    select
        cell_id,
        result_key,
        coalesce(best_epoch, epochs_trained) as result_epoch
    from leaderboard
    where result_key is not null
    qualify
        row_number() over (
            partition by cell_id
            order by
                status = 'completed' desc,
                coalesce(finished_at, run_started_at) desc nulls last,
                run_started_at desc nulls last,
                run_id desc
        ) = 1
),

curves as (
    select
        result_key,
        epoch,
        learning_rate,
        unnest(['train', 'valid', 'test']) as split,
        unnest([train_loss, valid_loss, test_loss]) as loss,
        unnest([train_accuracy, valid_accuracy, test_accuracy]) as accuracy
    from epochs
)

select
    latest.cell_id,
    latest.result_key,
    curves.epoch,
    curves.split,
    curves.loss,
    curves.accuracy,
    curves.learning_rate,
    curves.epoch = latest.result_epoch as is_result
from latest
inner join curves on latest.result_key = curves.result_key
where curves.loss is not null or curves.accuracy is not null;

comment on view learning_curves is 'one row per cell, epoch and split, of the latest result of the cell';
comment on column learning_curves.cell_id is 'the cell, as in cells';
comment on column learning_curves.result_key is 'the result, as in cell_runs';
comment on column learning_curves.epoch is 'epoch, from 1';
comment on column learning_curves.split is 'train, valid or test';
comment on column learning_curves.loss is 'mean loss over the images of the split';
comment on column learning_curves.accuracy is 'share of the images of the split classified rightly, in [0, 1]';
comment on column learning_curves.learning_rate is 'learning rate of the last step of the epoch';
comment on column learning_curves.is_result is 'the state after the epoch is the result: the last one, unless a stop rule restored an earlier one';
