-- question: Which two good models disagree most?
-- grain: one row per plan and two of its ten best trainings, those that disagree most first
-- differ: share of test images on which they name different classes
-- either: share on which one of them at least is right: what an ensemble could reach
-- empty: no plan here has two models
with best as (
    select
        plan_name,
        label,
        result_key,
        position
    from trainings
    qualify
        row_number() over (partition by plan_name order by test_accuracy desc, position) <= 10
),

answers as (
    select
        best.plan_name,
        best.label,
        best.position as place,
        predictions.position,
        predictions.image_sha256,
        predictions.predicted_class,
        predictions.is_correct
    from best
    inner join predictions on best.result_key = predictions.result_key
)

select
    one.plan_name as plan,
    one.label as one,
    other.label as other,
    round(avg(cast(one.predicted_class <> other.predicted_class as integer)), 4) as differ,
    round(avg(cast(one.is_correct or other.is_correct as integer)), 4) as either
from answers as one
inner join answers as other
    on
        one.plan_name = other.plan_name
        and one.place < other.place
        and one.position = other.position
        and one.image_sha256 = other.image_sha256
group by one.plan_name, one.place, one.label, other.place, other.label
order by one.plan_name, differ desc, one.place, other.place
limit 20
