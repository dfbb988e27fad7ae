-- grain: one row per run, the latest first
-- $plan_name: only this plan; null: all of them
-- $most: rows at most; null: all of them
with of_cells as (
    select
        run_id,
        count(*) filter (where status in ('completed', 'diverged')) as cells_done,
        cast(sum(epochs_trained) as bigint) as epochs_alone
    from cell_runs
    where cell_id not in (select composites.cell_id from composites)
    group by run_id
)

select
    runs.run_id,
    runs.plan_name,
    runs.started_at,
    runs.status,
    runs.cells,
    runs.cells_failed,
    coalesce(of_cells.cells_done, 0) as cells_done,
    runs.wall_seconds,
    runs.device,
    runs.environment_json,
    runs.set_json,
    runs.predicted_json,
    runs.counted_json,
    savings.seconds_alone,
    savings.seconds_paid,
    savings.stages_found,
    savings.stages_computed,
    savings.epochs_computed,
    coalesce(of_cells.epochs_alone, 0) as epochs_alone
from runs
inner join savings using (run_id)
left join of_cells using (run_id)
where runs.plan_name = $plan_name or $plan_name is null
order by runs.started_at desc, runs.run_id
limit $most
