-- question: Do recipes differ by more than luck?
-- grain: one row per plan with several seeds
-- between: standard deviation of the mean test accuracies of its recipes
-- within: of the seeds of one recipe (pooled); where it is the greater one, seeds decide
-- empty: no plan here trains a recipe with several seeds
select
    plan_name as plan,
    count(*) as recipes,
    sum(n) as cells,
    round(stddev_samp(test_accuracy_mean), 4) as between,
    round(sqrt(sum((n - 1) * test_accuracy_std ** 2) / sum(n - 1)), 4) as within,
    max_by(label, test_accuracy_mean) as best,
    round(max(test_accuracy_mean), 4) as best_mean
from seed_summary
where n > 1
group by plan_name
order by plan_name
