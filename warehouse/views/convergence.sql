-- grain: one row per plan name and completed cell that has a curve
-- plan_name, cell_id, label, position: the cell
-- epochs: of its curve
-- best_accuracy: the best of any epoch, on the validation images where some were set aside
-- epochs_to_converge: the first epoch with at least 95 % of that
-- best_epoch: the first epoch with all of it
create or replace view convergence as
with curves as (
    select
        leaderboard.plan_name,
        leaderboard.cell_id,
        leaderboard.label,
        leaderboard.position,
        epochs.epoch,
        coalesce(epochs.valid_accuracy, epochs.test_accuracy) as accuracy
    from leaderboard
    inner join epochs on leaderboard.result_key = epochs.result_key
    where leaderboard.status = 'completed'
),

measured as (
    select
        *,
        max(accuracy) over cell as best_accuracy
    from curves
    where accuracy is not null
    window cell as (partition by plan_name, cell_id)
)

select
    plan_name,
    cell_id,
    label,
    position,
    max(epoch) as epochs,
    best_accuracy,
    min(epoch) filter (where accuracy >= 0.95 * best_accuracy) as epochs_to_converge,
    min(epoch) filter (where accuracy = best_accuracy) as best_epoch
from measured
group by plan_name, cell_id, label, position, best_accuracy;

comment on view convergence is 'one row per plan name and completed cell that has a curve';
comment on column convergence.plan_name is 'name of the plan';
comment on column convergence.cell_id is 'the cell, as in cells';
comment on column convergence.label is 'what this plan calls the cell';
comment on column convergence.position is 'place of the cell in the plan, from 0';
comment on column convergence.epochs is 'epochs of its curve';
comment on column convergence.best_accuracy is 'best accuracy of any epoch, on the validation images where some were set aside, else on the test images, in [0, 1]';
comment on column convergence.epochs_to_converge is 'first epoch with at least 95 % of the best accuracy';
comment on column convergence.best_epoch is 'first epoch with the best accuracy';
