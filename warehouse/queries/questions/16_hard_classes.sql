-- question: Which classes are the hardest?
-- grain: one row per plan and class, the hardest first
-- precision, recall, f1: means over the models, of a training the last; best_f1: of the model that knows it best
select
    trainings.plan_name as plan,
    class_metrics.class_name as class,
    any_value(class_metrics.support) as images,
    round(avg(class_metrics.precision), 4) as precision,
    round(avg(class_metrics.recall), 4) as recall,
    round(avg(class_metrics.f1), 4) as f1,
    round(max(class_metrics.f1), 4) as best_f1
from trainings
inner join class_metrics on trainings.result_key = class_metrics.result_key
group by trainings.plan_name, class_metrics.class_name
order by trainings.plan_name, avg(class_metrics.f1), class_metrics.class_name
