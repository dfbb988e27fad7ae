-- grain: one row per cell, that is: one fully resolved recipe (how its training images are changed)
alter table cells add column augment varchar;
alter table cells add column mix varchar;

comment on column cells.augment is 'random changes of training images: none, or their kinds; null: loaded by an older version';
comment on column cells.mix is 'how training images are mixed: none, mixup, cutmix or either; null: loaded by an older version';
