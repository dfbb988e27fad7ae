-- grain: one row per run, the latest first
-- $plan_name: only this plan; null: all of them
select
    run_id,
    plan_id,
    plan_name,
    started_at,
    finished_at,
    status,
    cells,
    cells_failed,
    wall_seconds,
    device
from runs
where plan_name = $plan_name or $plan_name is null
order by started_at desc, run_id
