-- grain: one row per composite, that is: one way to answer with trained cells without training
create table composites (
    cell_id varchar not null check (cell_id <> ''),
    kind varchar not null check (kind in ('tta', 'mean', 'weighted', 'vote')),
    views_json varchar not null check (json_valid(views_json)),
    arch varchar,
    weights varchar,
    "freeze" varchar,
    data varchar,
    data_fraction double check (data_fraction > 0 and data_fraction <= 1),
    data_count bigint check (data_count >= 1),
    test varchar,
    valid double check (valid >= 0 and valid < 1),
    image_size integer check (image_size >= 1),
    epochs integer check (epochs >= 1),
    batch_size integer check (batch_size >= 1),
    optimizer varchar,
    learning_rate double check (learning_rate > 0),
    augment varchar,
    mix varchar,
    seed bigint,
    device varchar,
    settings_json varchar not null check (json_valid(settings_json)),
    primary key (cell_id)
);

comment on table composites is 'one row per composite, that is: one way to answer with trained cells without training';
comment on column composites.cell_id is 'hash of what it is made of and how; names and labels do not count';
comment on column composites.kind is 'tta: one cell in several views; mean, weighted, vote: how an ensemble combines its members';
comment on column composites.views_json is 'views in which every member sees an image, as JSON';
comment on column composites.arch is 'architecture of the members; null: not the same';
comment on column composites.weights is 'weights that their training starts from; null: not the same';
comment on column composites."freeze" is 'leading blocks that are not trained; null: not the same';
comment on column composites.data is 'data set whose training split trains them; null: not the same';
comment on column composites.data_fraction is 'share of the training images that is used; null: not the same, all or data_count';
comment on column composites.data_count is 'number of training images that are used; null: not the same, all or data_fraction';
comment on column composites.test is 'data set whose test split scores';
comment on column composites.valid is 'share of the training images set aside for validation; null: not the same';
comment on column composites.image_size is 'edge of the square that the networks see, in pixels; null: not the same, or chosen by the weights';
comment on column composites.epochs is 'epochs that the recipes ask for; null: not the same';
comment on column composites.batch_size is 'images per step of the optimiser; null: not the same';
comment on column composites.optimizer is 'kind of optimiser; null: not the same';
comment on column composites.learning_rate is 'learning rate at the first step; null: not the same';
comment on column composites.augment is 'random changes of their training images; null: not the same';
comment on column composites.mix is 'how their training images are mixed; null: not the same';
comment on column composites.seed is 'seed of everything random; null: not the same';
comment on column composites.device is 'device that the recipes ask for; null: not the same';
comment on column composites.settings_json is 'what it is made of and how, as canonical JSON';

create table members (
    result_key varchar not null check (result_key <> ''),
    position integer not null check (position >= 0),
    cell_id varchar not null check (cell_id <> ''),
    member_result_key varchar not null check (member_result_key <> ''),
    weight double not null check (weight > 0 and weight <= 1),
    primary key (result_key, position)
);

comment on table members is 'one row per result of a composite and member';
comment on column members.result_key is 'result of the composite, as in cell_runs';
comment on column members.position is 'from 0; where members were chosen by their score, the best first';
comment on column members.cell_id is 'the member, as in cells';
comment on column members.member_result_key is 'the result of the member that was used, as in cell_runs';
comment on column members.weight is 'its share in the combined answer, in (0, 1]; all of them add up to 1';

comment on column cell_runs.cell_id is 'the cell, as in cells, or what is made of cells, as in composites';
