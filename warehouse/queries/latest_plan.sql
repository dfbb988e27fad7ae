-- grain: one row: the plan of the latest run; none: no row
-- $plan_name: only runs of this plan; null: of all of them
-- $with_results: only runs that anything completed in
select
    plans.plan_json,
    plans.source_path
from runs
inner join plans using (plan_id)
where
    (runs.plan_name = $plan_name or $plan_name is null)
    and (
        not $with_results
        or exists (
            select 1
            from cell_runs
            where cell_runs.run_id = runs.run_id and cell_runs.status = 'completed'
        )
    )
order by runs.started_at desc, runs.run_id
limit 1
