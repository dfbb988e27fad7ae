-- grain: one row per data set, by content and split
create table datasets (
    dataset_key varchar not null check (dataset_key <> ''),
    digest varchar not null check (digest <> ''),
    source varchar not null,
    classes_json varchar not null check (json_valid(classes_json)),
    images bigint not null check (images >= 0),
    train_images bigint check (train_images >= 0),
    test_images bigint check (test_images >= 0),
    bytes bigint check (bytes >= 0),
    primary key (dataset_key)
);

comment on table datasets is 'one row per data set, by content and split';
comment on column datasets.dataset_key is 'key of the stage in the store';
comment on column datasets.digest is 'digest over path and sha256 of every image; does not depend on packing';
comment on column datasets.source is 'where it came from';
comment on column datasets.classes_json is 'names of the classes in their order, as JSON';
comment on column datasets.images is 'images in all';
comment on column datasets.train_images is 'images to train on; null: no such split';
comment on column datasets.test_images is 'images to score on; null: no such split';
comment on column datasets.bytes is 'size of the image files, in bytes';
