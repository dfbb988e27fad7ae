-- grain: one row per cell, that is: one fully resolved recipe of one trained model
create table cells (
    cell_id varchar not null check (cell_id <> ''),
    arch varchar not null check (arch <> ''),
    weights varchar not null,
    "freeze" varchar not null,
    data varchar not null,
    data_fraction double check (data_fraction > 0 and data_fraction <= 1),
    data_count bigint check (data_count >= 1),
    test varchar not null,
    valid double not null check (valid >= 0 and valid < 1),
    image_size integer check (image_size >= 1),
    epochs integer not null check (epochs >= 1),
    batch_size integer not null check (batch_size >= 1),
    optimizer varchar not null,
    learning_rate double not null check (learning_rate > 0),
    seed bigint not null,
    device varchar,
    settings_json varchar not null check (json_valid(settings_json)),
    primary key (cell_id)
);

comment on table cells is 'one row per cell, that is: one fully resolved recipe of one trained model';
comment on column cells.cell_id is 'hash of the resolved recipe; names and labels do not count';
comment on column cells.arch is 'architecture, as torchvision names it';
comment on column cells.weights is 'weights that training starts from; none: random';
comment on column cells."freeze" is 'leading blocks that are not trained: none, backbone, a block or a count';
comment on column cells.data is 'data set whose training split trains';
comment on column cells.data_fraction is 'share of the training images that is used, in (0, 1]; null: all or data_count';
comment on column cells.data_count is 'number of training images that are used; null: all or data_fraction';
comment on column cells.test is 'data set whose test split scores';
comment on column cells.valid is 'share of the training images set aside for validation, in [0, 1)';
comment on column cells.image_size is 'edge of the square that the network sees, in pixels; null: chosen by the weights';
comment on column cells.epochs is 'epochs that the recipe asks for';
comment on column cells.batch_size is 'images per step of the optimiser';
comment on column cells.optimizer is 'kind of optimiser: adam, adamw or sgd';
comment on column cells.learning_rate is 'learning rate at the first step';
comment on column cells.seed is 'seed of everything random';
comment on column cells.device is 'device that the recipe asks for';
comment on column cells.settings_json is 'the whole recipe as canonical JSON';
