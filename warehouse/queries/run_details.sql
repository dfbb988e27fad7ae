-- grain: one row per run of one plan, the latest first
-- $plan_name: the plan
-- $most: rows at most
select
    runs.run_id,
    runs.started_at,
    runs.status,
    runs.cells,
    runs.cells_failed,
    runs.wall_seconds,
    runs.device,
    runs.environment_json,
    runs.set_json,
    runs.predicted_json,
    runs.counted_json,
    savings.seconds_alone,
    savings.seconds_paid,
    savings.stages_found,
    savings.stages_computed
from runs
inner join savings using (run_id)
where runs.plan_name = $plan_name
order by runs.started_at desc, runs.run_id
limit $most
