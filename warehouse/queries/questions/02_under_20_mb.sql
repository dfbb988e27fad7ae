-- question: Which model under 20 MB is the best?
-- grain: one row per plan and model of less than 20 MB, the best first
-- empty: every model here is larger
select
    plan_name as plan,
    label,
    round(test_accuracy, 4) as test_accuracy,
    round(model_bytes / 1e6, 3) as megabytes,
    params_total as parameters
from leaderboard
where status = 'completed' and kind = 'trained' and model_bytes < 20e6
order by test_accuracy desc nulls last, model_bytes, plan_name, position
limit 20
