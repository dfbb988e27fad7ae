-- question: When did the best model change?
-- grain: one row per run whose champion is another result than that of its plan's run before
-- ranked_by: metric that the plan, as it was then, ranks by; value: the champion's
select
    plan_name as plan,
    strftime(started_at, '%Y-%m-%d %H:%M') as started_at,
    label,
    ranked_by,
    round(value, 4) as value,
    round(test_accuracy, 4) as test_accuracy
from champions
where is_new
order by plan_name, champions.started_at
