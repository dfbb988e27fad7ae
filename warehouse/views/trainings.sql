-- grain: one row per plan name and training: its completed result that was trained the furthest
-- 5 epochs that are the beginning of 10 are no model beside it; cells of another training are
-- plan_name, cell_id, label, position, result_key, test_accuracy: as in leaderboard
create or replace view trainings as
select
    leaderboard.plan_name,
    leaderboard.cell_id,
    leaderboard.label,
    leaderboard.position,
    leaderboard.result_key,
    leaderboard.test_accuracy
from leaderboard
where
    leaderboard.status = 'completed'
    and leaderboard.kind = 'trained'
    and not exists (
        select 1
        from continuations
        inner join leaderboard as later on continuations.continued_by = later.result_key
        where
            continuations.result_key = leaderboard.result_key
            and later.plan_name = leaderboard.plan_name
    );

comment on view trainings is 'one row per plan name and training: its completed result that was trained the furthest';
comment on column trainings.plan_name is 'name of the plan';
comment on column trainings.cell_id is 'the cell, as in cells';
comment on column trainings.label is 'what this plan calls the cell';
comment on column trainings.position is 'place of the cell in the plan, from 0';
comment on column trainings.result_key is 'the result, as in cell_runs';
comment on column trainings.test_accuracy is 'share of test images classified rightly, in [0, 1]';
