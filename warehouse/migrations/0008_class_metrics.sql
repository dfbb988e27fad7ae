-- grain: one row per result and class
create table class_metrics (
    result_key varchar not null check (result_key <> ''),
    class_name varchar not null,
    cell_id varchar not null check (cell_id <> ''),
    precision double not null check (precision >= 0 and precision <= 1),
    recall double not null check (recall >= 0 and recall <= 1),
    f1 double not null check (f1 >= 0 and f1 <= 1),
    support bigint not null check (support >= 0),
    primary key (result_key, class_name)
);

comment on table class_metrics is 'one row per result and class';
comment on column class_metrics.result_key is 'the result, as in cell_runs';
comment on column class_metrics.class_name is 'class of the scored images';
comment on column class_metrics.cell_id is 'a cell that has this result; join by result_key to find every one';
comment on column class_metrics.precision is 'of the images predicted as this class, the share that is of it, in [0, 1]';
comment on column class_metrics.recall is 'of the images of this class, the share predicted as it, in [0, 1]';
comment on column class_metrics.f1 is 'harmonic mean of precision and recall, in [0, 1]';
comment on column class_metrics.support is 'scored images of this class';
