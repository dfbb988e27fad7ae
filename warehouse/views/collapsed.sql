-- grain: one row per result whose model names one class for every test image, and did not diverge
-- result_key: the result, as in cell_runs
-- class_name: the class that it names
create or replace view collapsed as
with judged as (
    select
        result_key,
        class_name,
        recall,
        support,
        support / nullif(precision, 0) as named,
        sum(support) over result as images
    from class_metrics
    window result as (partition by result_key)
)

-- Of a class whose images are all found, so many images were named as this one. A model that
-- diverged says NaN, which reads as its first class: it names none.
select
    result_key,
    class_name
from judged
anti join (select result_key from cell_runs where status = 'diverged') as diverged
    using (result_key)
where recall = 1 and support < images and abs(named - images) < 0.5;

comment on view collapsed is 'one row per result whose model names one class for every test image, and did not diverge';
comment on column collapsed.result_key is 'the result, as in cell_runs';
comment on column collapsed.class_name is 'class that it names';
