-- question: Which seed is lucky?
-- grain: one row per plan and seed of recipes that ran with several, the luckiest first
-- luck: mean distance of its test accuracy from the mean over all seeds of the same recipe
-- error: standard error of that mean; luck of less than twice as much is no luck
-- first: recipes of which it is the best seed
-- empty: no plan here trains a recipe with several seeds
with seeds as (
    select
        plan_name,
        seed,
        test_accuracy - avg(test_accuracy) over recipe as luck,
        rank() over (recipe order by test_accuracy desc) = 1 as is_first,
        count(*) over recipe as seeds
    from leaderboard
    where status = 'completed' and kind = 'trained'
    window recipe as (partition by plan_name, config_id)
)

select
    plan_name as plan,
    seed,
    count(*) as recipes,
    round(avg(luck), 4) as luck,
    round(stddev_samp(luck) / sqrt(count(*)), 4) as error,
    count(*) filter (where is_first) as first
from seeds
where seeds > 1
group by plan_name, seed
order by plan_name, avg(luck) desc, seed
