-- question: How fast does each architecture train?
-- grain: one row per plan, architecture and device, the fastest first
-- images_per_second: mean over its cells; seconds_per_epoch: as measured when it was computed
select
    leaderboard.plan_name as plan,
    leaderboard.arch,
    runs.device,
    count(*) as cells,
    round(avg(leaderboard.images_per_second)) as images_per_second,
    round(avg(leaderboard.seconds_alone / leaderboard.epochs_trained), 3) as seconds_per_epoch,
    round(avg(leaderboard.test_accuracy), 4) as mean_accuracy
from leaderboard
left join runs on leaderboard.run_id = runs.run_id
where leaderboard.status = 'completed' and leaderboard.kind = 'trained'
group by leaderboard.plan_name, leaderboard.arch, runs.device
order by leaderboard.plan_name, avg(leaderboard.images_per_second) desc nulls last, leaderboard.arch
