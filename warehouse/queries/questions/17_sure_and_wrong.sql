-- question: Which mistakes are models surest of?
-- grain: one row per plan, image and class that models wrongly name, the surest first
-- models: that name the class, of a training the last alone; sure: mean probability that they give it
-- The first ones are worth a look: perhaps it is the label that is wrong.
-- empty: nothing was classified wrongly
select
    trainings.plan_name as plan,
    any_value(mistakes.path) as path,
    mistakes.true_class,
    mistakes.predicted_class as taken_for,
    count(*) as models,
    round(avg(mistakes.probability), 4) as sure
from trainings
inner join mistakes on trainings.result_key = mistakes.result_key
group by
    trainings.plan_name, mistakes.image_sha256, mistakes.true_class, mistakes.predicted_class
order by count(*) * avg(mistakes.probability) desc, path
limit 20
