-- question: Which is the smallest model within a point of the best?
-- grain: one row per plan and model at most a point behind its best, the smallest first
-- points_behind: percentage points behind the best of the plan
with known as (
    select
        *,
        max(test_accuracy) over (partition by plan_name) as best_accuracy
    from leaderboard
    where status = 'completed' and kind = 'trained'
)

select
    plan_name as plan,
    label,
    params_total as parameters,
    round(model_bytes / 1e6, 3) as megabytes,
    round(test_accuracy, 4) as test_accuracy,
    round(100 * (best_accuracy - test_accuracy), 2) as points_behind
from known
where round(best_accuracy - test_accuracy, 9) <= 0.01
order by plan_name, params_total nulls last, test_accuracy desc, position
