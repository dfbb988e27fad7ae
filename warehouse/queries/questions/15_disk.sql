-- question: How much disk does each model take?
-- grain: one row per plan and model, the largest first
-- megabytes: of its state dict; is_saved: it was kept as a file
select
    plan_name as plan,
    label,
    round(model_bytes / 1e6, 3) as megabytes,
    params_total as parameters,
    model_path is not null as is_saved,
    round(test_accuracy, 4) as test_accuracy
from leaderboard
where model_bytes is not null and kind = 'trained'
order by model_bytes desc, plan_name, position
