-- question: What does a point of accuracy cost?
-- grain: one row per plan and step up its Pareto front of seconds, the cheapest cell first
-- seconds: of the cell's whole chain, trained alone
-- points: percentage points of test accuracy that it has over the cheaper one before it
-- seconds_per_point: what each of them costs in further seconds
with front as (
    select
        plan_name,
        position,
        label,
        test_accuracy,
        cost
    from pareto
    where cost_kind = 'seconds_alone' and is_on_front
    -- Cells that share a result are as good and as dear: one of them stands for all.
    qualify
        row_number() over (partition by plan_name, cost, test_accuracy order by position) = 1
),

steps as (
    select
        *,
        cost - lag(cost) over step as further_seconds,
        100 * (test_accuracy - lag(test_accuracy) over step) as points
    from front
    window step as (partition by plan_name order by cost)
)

select
    plan_name as plan,
    label,
    round(test_accuracy, 4) as test_accuracy,
    round(cost, 2) as seconds,
    round(points, 2) as points,
    round(further_seconds / points, 2) as seconds_per_point
from steps
order by plan_name, cost
