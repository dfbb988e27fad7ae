-- question: What changed since last week's run?
-- grain: one row per plan and cell of its latest run, or of the run that it is held against
-- The latest run of each plan is held against the last one that began at least six days earlier;
-- where there is none, against the run before it; of a plan that ran once, everything is new.
-- Cells are paired by all of their settings, and those that are left by their label.
-- settings: of the pair, the same or other ones; empty where there is no pair
-- change: new, gone, better, worse, failed, other result (with the same accuracy), or none
with numbered as (
    select
        run_id,
        plan_name,
        started_at,
        row_number() over (partition by plan_name order by started_at desc, run_id desc) as place
    from runs
    where status <> 'running'
),

compared as (
    select
        now.plan_name,
        now.run_id,
        now.started_at,
        coalesce(
            max_by(earlier.run_id, earlier.started_at)
                filter (where earlier.started_at <= now.started_at - interval 6 day),
            max(earlier.run_id) filter (where earlier.place = 2)
        ) as earlier_id
    from numbered as now
    left join numbered as earlier on now.plan_name = earlier.plan_name and earlier.place > 1
    where now.place = 1
    group by now.plan_name, now.run_id, now.started_at
),

present as (
    select
        compared.plan_name,
        cell_runs.*
    from compared
    inner join cell_runs on compared.run_id = cell_runs.run_id
),

past as (
    select
        compared.plan_name,
        cell_runs.*
    from compared
    inner join cell_runs on compared.earlier_id = cell_runs.run_id
),

present_named as (
    select
        *,
        if((plan_name, cell_id) in (select (plan_name, cell_id) from past), cell_id, label) as pair
    from present
),

past_named as (
    select
        *,
        if((plan_name, cell_id) in (select (plan_name, cell_id) from present), cell_id, label) as pair
    from past
)

select
    coalesce(now.plan_name, past.plan_name) as plan,
    coalesce(now.label, past.label) as label,
    case
        when now.cell_id is null or past.cell_id is null then ''
        when now.cell_id = past.cell_id then 'same'
        else 'other'
    end as settings,
    case
        when past.cell_id is null then 'new'
        when now.cell_id is null then 'gone'
        when now.status <> 'completed' then now.status
        when past.status <> 'completed' then 'better'
        when now.test_accuracy > past.test_accuracy then 'better'
        when now.test_accuracy < past.test_accuracy then 'worse'
        when now.result_key <> past.result_key then 'other result'
        else 'none'
    end as change,
    round(past.test_accuracy, 4) as accuracy_before,
    round(now.test_accuracy, 4) as accuracy_now,
    round(now.test_accuracy - past.test_accuracy, 4) as difference
from present_named as now
full outer join past_named as past on now.plan_name = past.plan_name and now.pair = past.pair
order by
    plan,
    abs(now.test_accuracy - past.test_accuracy) desc nulls last,
    coalesce(now.position, past.position),
    label
