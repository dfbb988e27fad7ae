-- question: What does more data bring?
-- grain: one row per plan and number of training images, the fewest first
-- images: that an epoch trains on
-- gain: mean test accuracy over that with the next fewer images
with trained as (
    select
        leaderboard.plan_name,
        leaderboard.test_accuracy,
        epochs.images
    from leaderboard
    inner join epochs on leaderboard.result_key = epochs.result_key and epochs.epoch = 1
    where leaderboard.status = 'completed' and leaderboard.kind = 'trained'
)

select
    plan_name as plan,
    images,
    count(*) as cells,
    round(avg(test_accuracy), 4) as mean_accuracy,
    round(max(test_accuracy), 4) as best_accuracy,
    round(
        avg(test_accuracy) - lag(avg(test_accuracy)) over (partition by plan_name order by images),
        4
    ) as gain
from trained
group by plan_name, images
order by plan_name, images
