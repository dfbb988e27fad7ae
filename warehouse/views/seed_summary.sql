-- grain: one row per plan name and configuration, that is: a recipe without its seed
-- plan_name, config_id: the row
-- label, position: of its earliest cell in the plan
-- arch, data, epochs: what most tables show of a recipe
-- cells, collapsed, n: seeds that there are, that name one class for everything, and that count
-- …_mean, …_std: over those that completed and did not collapse (over all where all did); std with n - 1 below the line, null for one alone
create or replace view seed_summary as
with judged as (
    select
        *,
        status = 'completed'
        and (not is_collapsed or bool_and(is_collapsed) filter (where status = 'completed') over seeds)
            as counts
    from leaderboard
    window seeds as (partition by plan_name, config_id)
)

select
    plan_name,
    config_id,
    min_by(label, position) as label,
    min(position) as position,
    any_value(arch) as arch,
    any_value(data) as data,
    any_value(epochs) as epochs,
    count(*) as cells,
    count(*) filter (where is_collapsed and status = 'completed') as collapsed,
    count(*) filter (where counts) as n,
    avg(test_accuracy) filter (where counts) as test_accuracy_mean,
    stddev_samp(test_accuracy) filter (where counts) as test_accuracy_std,
    avg(test_loss) filter (where counts) as test_loss_mean,
    stddev_samp(test_loss) filter (where counts) as test_loss_std,
    avg(valid_accuracy) filter (where counts) as valid_accuracy_mean,
    stddev_samp(valid_accuracy) filter (where counts) as valid_accuracy_std,
    avg(train_accuracy) filter (where counts) as train_accuracy_mean,
    stddev_samp(train_accuracy) filter (where counts) as train_accuracy_std,
    avg(seconds_alone) filter (where counts) as seconds_alone_mean
from judged
group by plan_name, config_id;

comment on view seed_summary is 'one row per plan name and configuration, that is: a recipe without its seed';
comment on column seed_summary.plan_name is 'name of the plan';
comment on column seed_summary.config_id is 'hash of the recipe without its seed';
comment on column seed_summary.label is 'label of its earliest cell in the plan';
comment on column seed_summary.position is 'place of that cell in the plan, from 0';
comment on column seed_summary.arch is 'architecture';
comment on column seed_summary.data is 'data set whose training split trains';
comment on column seed_summary.epochs is 'epochs that the recipe asks for';
comment on column seed_summary.cells is 'seeds that there are';
comment on column seed_summary.collapsed is 'seeds whose model names one class for every test image';
comment on column seed_summary.n is 'seeds that the means are over: completed and not collapsed, or all where all collapsed';
comment on column seed_summary.test_accuracy_mean is 'mean over seeds, in [0, 1]';
comment on column seed_summary.test_accuracy_std is 'standard deviation over seeds (n - 1); null: fewer than two';
comment on column seed_summary.test_loss_mean is 'mean over seeds';
comment on column seed_summary.test_loss_std is 'standard deviation over seeds (n - 1); null: fewer than two';
comment on column seed_summary.valid_accuracy_mean is 'mean over seeds, in [0, 1]; null: no validation images';
comment on column seed_summary.valid_accuracy_std is 'standard deviation over seeds (n - 1); null: fewer than two';
comment on column seed_summary.train_accuracy_mean is 'mean over seeds, in [0, 1]';
comment on column seed_summary.train_accuracy_std is 'standard deviation over seeds (n - 1); null: fewer than two';
comment on column seed_summary.seconds_alone_mean is 'mean over seeds of the seconds of the whole chain';
