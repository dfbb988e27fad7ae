-- question: Which axis mattered most?
-- grain: one row per plan and axis with several values, the axis with the widest spread first
-- spread: best minus worst mean test accuracy among the values of the axis (the mean of a value is
-- over its cells); null: one has any
-- without_result: values that no completed cell has, because theirs failed or diverged; empty: none
select
    plan_name as plan,
    axis,
    round(max(test_accuracy_mean) - min(test_accuracy_mean), 4) as spread,
    max_by(value, test_accuracy_mean) as best,
    round(max(test_accuracy_mean), 4) as best_mean,
    min_by(value, test_accuracy_mean) as worst,
    round(min(test_accuracy_mean), 4) as worst_mean,
    coalesce(string_agg(value, ', ' order by value) filter (where cells = 0), '') as without_result
from axis_effects
group by plan_name, axis
having count(*) > 1
order by plan_name, spread desc nulls last, axis
