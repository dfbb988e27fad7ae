-- question: How many epochs would have been enough?
-- grain: one row per plan and trained cell
-- near_best: first epoch with 95 % of the best accuracy; best: first epoch with all of it
-- spare: epochs after that one, which brought nothing
select
    plan_name as plan,
    label,
    epochs,
    epochs_to_converge as near_best,
    best_epoch as best,
    epochs - best_epoch as spare,
    round(best_accuracy, 4) as best_accuracy
from convergence
order by plan_name, position
