-- question: Which axis mattered most?
-- grain: one row per plan and axis, the axis with the widest spread first
-- spread: best minus worst mean test accuracy among the values of the axis
select
    plan_name as plan,
    axis,
    round(max(test_accuracy_mean) - min(test_accuracy_mean), 4) as spread,
    max_by(value, test_accuracy_mean) as best,
    round(max(test_accuracy_mean), 4) as best_accuracy,
    min_by(value, test_accuracy_mean) as worst,
    round(min(test_accuracy_mean), 4) as worst_accuracy
from axis_effects
group by plan_name, axis
order by plan_name, max(test_accuracy_mean) - min(test_accuracy_mean) desc, axis
