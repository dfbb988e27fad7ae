-- question: How much time did sharing save?
-- grain: one row per run, the latest first
-- seconds_alone: of its cells, each trained alone; seconds_paid: that the run spent on them
-- times: as long as it took; null: nothing had to be computed
select
    plan_name as plan,
    strftime(started_at, '%Y-%m-%d %H:%M') as started_at,
    cells,
    round(seconds_alone, 1) as seconds_alone,
    round(seconds_paid, 1) as seconds_paid,
    round(seconds_saved, 1) as seconds_saved,
    round(seconds_alone / nullif(seconds_paid, 0), 1) as times
from savings
order by savings.started_at desc, run_id
