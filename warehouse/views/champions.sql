-- grain: one row per run in which anything completed: the first of its plan's ranking there
-- run_id, plan_name, started_at: the run
-- ranked_by: metric that the plan, as it was then, ranks by; ties are decided by its second one
-- cell_id, kind, label, result_key: the first; of several seeds of one recipe the smallest
-- seeds: of the recipe that completed; value: mean of the metric over them
-- test_accuracy, model_path: of the cell in that run
-- is_new: another result than that of the plan's run before
create or replace view champions as
with entries as (
    select
        cell_id,
        'trained' as kind,
        seed,
        settings_json
    from cells
    union all by name
    select
        cell_id,
        kind,
        seed,
        settings_json
    from composites
),

ranked_runs as (
    select
        runs.run_id,
        runs.started_at,
        plans.plan_json ->> '$.rank.by' as ranked_by,
        plans.plan_json ->> '$.rank.then' as then_by
    from runs
    inner join plans on runs.plan_id = plans.plan_id
),

-- One figure per metric, the higher the better; what is not finite is no figure.
scored as (
    select
        cell_runs.run_id,
        cell_runs.cell_id,
        cell_runs.status,
        collapsed.result_key is not null as is_collapsed,
        md5(
            cast(json_merge_patch(entries.settings_json, '{"seed": null}') as varchar)
        ) as config_id,
        entries.kind,
        entries.seed,
        cell_runs.position,
        map {
            'test.accuracy': cell_runs.test_accuracy,
            'test.loss': -cell_runs.test_loss,
            'valid.accuracy': cell_runs.valid_accuracy,
            'valid.loss': -cell_runs.valid_loss,
            'train.accuracy': cell_runs.train_accuracy,
            'train.loss': -cell_runs.train_loss,
            'seconds': -cell_runs.seconds_alone,
            'params': -cast(cell_runs.params_total as double)
        } as figures
    from cell_runs
    inner join entries on cell_runs.cell_id = entries.cell_id
    left join collapsed on cell_runs.result_key = collapsed.result_key
),

judged as (
    select
        scored.*,
        scored.status = 'completed'
        and (
            not scored.is_collapsed
            or bool_and(scored.is_collapsed) filter (where scored.status = 'completed') over seeds
        ) as counts,
        ranked_runs.started_at,
        ranked_runs.ranked_by,
        scored.figures[ranked_runs.ranked_by] as figure,
        scored.figures[ranked_runs.then_by] as second_figure
    from scored
    inner join ranked_runs on scored.run_id = ranked_runs.run_id
    window seeds as (partition by scored.run_id, scored.config_id)
),

configurations as (
    select
        run_id,
        config_id,
        started_at,
        ranked_by,
        favg(figure) filter (where counts and isfinite(figure)) as mean,
        favg(second_figure) filter (where counts and isfinite(second_figure))
            as second_mean,
        count(*) filter (where counts and isfinite(figure)) as seeds,
        min(struct_pack(position := position, cell_id := cell_id)) as place,
        arg_min(
            struct_pack(cell_id := cell_id, kind := kind),
            struct_pack(seed := coalesce(seed, -1), position := position, cell_id := cell_id)
        ) filter (where counts) as first_cell
    from judged
    group by run_id, config_id, started_at, ranked_by
),

firsts as (
    select *
    from configurations
    where mean is not null
    qualify
        row_number() over (
            partition by run_id
            order by mean desc, second_mean desc nulls last, place
        ) = 1
)

select
    firsts.run_id,
    cell_runs.plan_name,
    firsts.started_at,
    firsts.ranked_by,
    cell_runs.cell_id,
    firsts.first_cell.kind as kind,
    cell_runs.label,
    cell_runs.result_key,
    firsts.seeds,
    if(
        firsts.ranked_by in ('seconds', 'params') or firsts.ranked_by like '%.loss',
        -firsts.mean,
        firsts.mean
    ) as value,
    cell_runs.test_accuracy,
    cell_runs.model_path,
    cell_runs.result_key is distinct from lag(cell_runs.result_key) over (
        partition by cell_runs.plan_name
        order by firsts.started_at, firsts.run_id
    ) as is_new
from firsts
inner join cell_runs
    on firsts.run_id = cell_runs.run_id and firsts.first_cell.cell_id = cell_runs.cell_id;

comment on view champions is 'one row per run in which anything completed: the first of its plan''s ranking there';
comment on column champions.run_id is 'the run, as in runs';
comment on column champions.plan_name is 'name of the plan';
comment on column champions.started_at is 'when the run began (UTC)';
comment on column champions.ranked_by is 'metric that the plan, as it was then, ranks by';
comment on column champions.cell_id is 'the cell, as in cells, or the composite, as in composites; of several seeds the smallest';
comment on column champions.kind is 'trained, or made of trained cells: tta, mean, weighted or vote, as in composites';
comment on column champions.label is 'what the plan calls it';
comment on column champions.result_key is 'the result, as in cell_runs';
comment on column champions.seeds is 'seeds of its recipe that completed';
comment on column champions.value is 'mean of the metric over these seeds';
comment on column champions.test_accuracy is 'share of test images classified rightly, in [0, 1]';
comment on column champions.model_path is 'file of the saved model in the home; null: not saved';
comment on column champions.is_new is 'another result than the champion of the plan''s run before';
