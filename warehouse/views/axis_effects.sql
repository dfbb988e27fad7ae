-- grain: one row per plan name, axis and value of that axis
-- plan_name, axis, value: the row; the axis as a dotted path, the value as its label
-- cells: completed cells with that value
-- cells_without_result: cells with that value that failed, diverged or have not finished yet
-- test_accuracy_mean, seconds_alone_mean, test_loss_mean: over the completed cells; null: none
-- test_accuracy_effect: mean with that value minus the mean of all completed cells of the plan
-- that have the axis (the main effect; in a full grid all else is balanced)
create or replace view axis_effects as
with settings as (
    select
        plan_name,
        status = 'completed' as is_completed,
        test_accuracy,
        test_loss,
        seconds_alone,
        unnest(map_entries(cast(cast(axes_json as json) as map(varchar, varchar)))) as axis_value
    from leaderboard
),

by_axis as (
    select
        plan_name,
        axis_value.key as axis,
        avg(test_accuracy) filter (where is_completed) as test_accuracy_mean
    from settings
    group by plan_name, axis_value.key
),

by_value as (
    select
        plan_name,
        axis_value.key as axis,
        axis_value.value as value,
        count(*) filter (where is_completed) as cells,
        count(*) filter (where not is_completed) as cells_without_result,
        avg(test_accuracy) filter (where is_completed) as test_accuracy_mean,
        avg(test_loss) filter (where is_completed) as test_loss_mean,
        avg(seconds_alone) filter (where is_completed) as seconds_alone_mean
    from settings
    group by plan_name, axis_value.key, axis_value.value
)

select
    by_value.plan_name,
    by_value.axis,
    by_value.value,
    by_value.cells,
    by_value.cells_without_result,
    by_value.test_accuracy_mean,
    by_value.test_accuracy_mean - by_axis.test_accuracy_mean as test_accuracy_effect,
    by_value.test_loss_mean,
    by_value.seconds_alone_mean
from by_value
inner join by_axis on by_value.plan_name = by_axis.plan_name and by_value.axis = by_axis.axis;

comment on view axis_effects is 'one row per plan name, axis and value of that axis';
comment on column axis_effects.plan_name is 'name of the plan';
comment on column axis_effects.axis is 'dotted path of the axis';
comment on column axis_effects.value is 'label of the value';
comment on column axis_effects.cells is 'completed cells with that value';
comment on column axis_effects.cells_without_result is 'cells with that value that failed, diverged or have not finished yet';
comment on column axis_effects.test_accuracy_mean is 'mean over the completed cells, in [0, 1]; null: none completed';
comment on column axis_effects.test_accuracy_effect is 'that mean minus the mean of all completed cells of the plan that have the axis';
comment on column axis_effects.test_loss_mean is 'mean over the completed cells';
comment on column axis_effects.seconds_alone_mean is 'mean over the completed cells of the seconds of the whole chain';
