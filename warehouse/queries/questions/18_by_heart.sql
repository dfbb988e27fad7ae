-- question: Which models learn their training images by heart?
-- grain: one row per plan and model, the widest gap first
-- gap: accuracy in training minus that on the test images
select
    plan_name as plan,
    label,
    round(train_accuracy, 4) as train_accuracy,
    round(test_accuracy, 4) as test_accuracy,
    round(overfitting_gap, 4) as gap,
    epochs,
    augment
from leaderboard
where status = 'completed' and kind = 'trained'
order by overfitting_gap desc nulls last, plan_name, position
