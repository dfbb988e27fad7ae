-- grain: one row per plan and cell that has a result, the latest first
select
    plan_name as plan,
    label,
    cell_id,
    result_key,
    run_id,
    model_path,
    test_accuracy,
    status
from leaderboard
where result_key is not null
order by finished_at desc nulls last, plan_name, position
