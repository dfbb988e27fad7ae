-- grain: one row per run, the latest first
select
    runs.run_id,
    runs.plan_name,
    runs.started_at,
    runs.status,
    runs.device,
    runs.environment_json,
    runs.set_json,
    plans.plan_json,
    plans.source_path
from runs
inner join plans using (plan_id)
order by runs.started_at desc, runs.run_id
