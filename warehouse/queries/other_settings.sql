-- grain: one row per version of a plan that has results, none of them of these cells, latest first
-- $plan_name: the plan
-- $cell_ids: list of cells and composites
select
    arg_max(runs.set_json, runs.started_at) as set_json,
    max(runs.started_at) as started_at,
    count(distinct cell_runs.cell_id) as cells
from runs
inner join cell_runs using (run_id)
where runs.plan_name = $plan_name and cell_runs.status = 'completed'
group by runs.plan_id
having
    not bool_or(
        cell_runs.cell_id in (select unnest(cast($cell_ids as varchar[])))
    )
order by max(runs.started_at) desc, runs.plan_id
