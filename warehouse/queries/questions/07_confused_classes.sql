-- question: Which two classes are confused most?
-- grain: one row per plan and two classes that were taken for each other, most often first
-- images: answers of all models (of a training, the last) in which one was taken for the other
-- share: of all answers about images of the two classes
-- empty: nothing was classified wrongly
with counted as (
    select
        trainings.plan_name,
        confusions.true_class,
        confusions.predicted_class,
        sum(confusions.images) as images
    from trainings
    inner join confusions on trainings.result_key = confusions.result_key
    group by trainings.plan_name, confusions.true_class, confusions.predicted_class
),

classes as (
    select
        plan_name,
        true_class,
        sum(images) as images
    from counted
    group by plan_name, true_class
),

pairs as (
    select
        plan_name,
        least(true_class, predicted_class) as one,
        greatest(true_class, predicted_class) as other,
        sum(images) as images
    from counted
    where true_class <> predicted_class
    group by plan_name, one, other
)

select
    pairs.plan_name as plan,
    pairs.one,
    pairs.other,
    pairs.images,
    round(pairs.images / sum(classes.images), 4) as share
from pairs
inner join classes
    on pairs.plan_name = classes.plan_name and classes.true_class in (pairs.one, pairs.other)
group by pairs.plan_name, pairs.one, pairs.other, pairs.images
order by pairs.plan_name, pairs.images desc, pairs.one, pairs.other
