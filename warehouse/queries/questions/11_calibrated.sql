-- question: Are the models as sure as they are right?
-- grain: one row per plan and model, the worst calibrated first
-- sure: mean probability of the class that it names; too_sure: that minus its test accuracy
-- error: expected calibration error; at_temperature: after dividing its logits by temperature
with answers as (
    select
        result_key,
        avg(probability) as sure
    from predictions
    group by result_key
)

select
    leaderboard.plan_name as plan,
    leaderboard.label,
    round(leaderboard.test_accuracy, 4) as test_accuracy,
    round(answers.sure, 4) as sure,
    round(answers.sure - leaderboard.test_accuracy, 4) as too_sure,
    round(leaderboard.test_calibration_error, 4) as error,
    round(leaderboard.temperature, 3) as temperature,
    round(leaderboard.test_calibrated_error, 4) as at_temperature
from leaderboard
inner join answers on leaderboard.result_key = answers.result_key
where leaderboard.status = 'completed'
order by
    leaderboard.plan_name,
    leaderboard.test_calibration_error desc nulls last,
    leaderboard.position
