-- question: Did 10 epochs help over 5?
-- grain: one row per plan and two numbers of epochs that recipes are otherwise equal under
-- pairs: of cells that differ in their epochs alone
-- gain: mean test accuracy with more epochs minus that with fewer
-- better, worse: pairs in which more epochs did better, or worse
-- empty: no plan here trains the same recipe for different numbers of epochs
with trained as (
    select
        plan_name,
        epochs,
        test_accuracy,
        json_merge_patch(settings_json, '{"epochs": null}') as recipe
    from leaderboard
    where status = 'completed' and kind = 'trained'
)

select
    fewer.plan_name as plan,
    fewer.epochs as fewer,
    more.epochs as more,
    count(*) as pairs,
    round(avg(more.test_accuracy - fewer.test_accuracy), 4) as gain,
    count(*) filter (where more.test_accuracy > fewer.test_accuracy) as better,
    count(*) filter (where more.test_accuracy < fewer.test_accuracy) as worse
from trained as fewer
inner join trained as more
    on
        fewer.plan_name = more.plan_name
        and fewer.recipe = more.recipe
        and fewer.epochs < more.epochs
group by fewer.plan_name, fewer.epochs, more.epochs
order by fewer.plan_name, fewer.epochs, more.epochs
