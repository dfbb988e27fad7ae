-- question: Which stages took longest?
-- grain: one row per run and stage that it computed, the slowest first
-- memory_mb: most that the process had held by the end of the stage
-- empty: no run here had to compute anything
select
    runs.plan_name as plan,
    stages.kind,
    stages.label,
    round(stages.seconds, 2) as seconds,
    stages.images,
    stages.epochs,
    round(stages.peak_memory_bytes / 1e6) as memory_mb
from stages
inner join runs on stages.run_id = runs.run_id
where not stages.is_hit
order by stages.seconds desc nulls last, runs.started_at, stages.stage_key
limit 20
