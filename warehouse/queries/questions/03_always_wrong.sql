-- question: Which images does every model get wrong?
-- grain: one row per scored image that no model classifies rightly, the surest mistakes first
-- plans: of these models
-- models: that scored the image; at least two, and of each training the last one alone
-- taken_for: the class that most of them name; sure: the mean probability of what each names
-- empty: every image is classified rightly by one model at least, or only one model has run
with results as (
    select
        result_key,
        list(distinct plan_name) as plans
    from trainings
    group by result_key
)

select
    array_to_string(list_sort(list_distinct(flatten(list(results.plans)))), ', ') as plans,
    any_value(predictions.path) as path,
    predictions.true_class,
    mode(predictions.predicted_class) as taken_for,
    round(avg(predictions.probability), 4) as sure,
    count(distinct predictions.result_key) as models
from predictions
inner join results on predictions.result_key = results.result_key
group by predictions.image_sha256, predictions.true_class
having not bool_or(predictions.is_correct) and count(distinct predictions.result_key) > 1
order by avg(predictions.probability) desc, path
