-- question: What changed since last week's run?
-- grain: one row per plan and cell of its latest run, or of the run that it is held against
-- The latest run of each plan is held against the last one that began at least six days earlier;
-- where there is none, against the run before it; of a plan that ran once, everything is new.
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
)

select
    coalesce(present.plan_name, past.plan_name) as plan,
    coalesce(present.label, past.label) as label,
    case
        when past.cell_id is null then 'new'
        when present.cell_id is null then 'gone'
        when present.status <> 'completed' then present.status
        when past.status <> 'completed' then 'better'
        when present.test_accuracy > past.test_accuracy then 'better'
        when present.test_accuracy < past.test_accuracy then 'worse'
        when present.result_key <> past.result_key then 'other result'
        else 'none'
    end as change,
    round(past.test_accuracy, 4) as accuracy_before,
    round(present.test_accuracy, 4) as accuracy_now,
    round(present.test_accuracy - past.test_accuracy, 4) as difference
from present
full outer join past on present.plan_name = past.plan_name and present.cell_id = past.cell_id
order by
    plan,
    abs(present.test_accuracy - past.test_accuracy) desc nulls last,
    coalesce(present.position, past.position),
    label
