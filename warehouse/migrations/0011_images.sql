-- grain: one row per data set, split and image
create table images (
    dataset_key varchar not null check (dataset_key <> ''),
    split varchar not null check (split in ('train', 'test', 'all')),
    path varchar not null check (path <> ''),
    class_name varchar not null,
    image_sha256 varchar not null,
    width integer not null check (width >= 1),
    height integer not null check (height >= 1),
    primary key (dataset_key, split, path)
);

comment on table images is 'one row per data set, split and image';
comment on column images.dataset_key is 'the data set, as in datasets';
comment on column images.split is 'train, test or all (a data set without splits)';
comment on column images.path is 'path of the image inside the data set';
comment on column images.class_name is 'class that the data set names';
comment on column images.image_sha256 is 'sha256 of the file of the image';
comment on column images.width is 'width in pixels, after turning as its EXIF says';
comment on column images.height is 'height in pixels, after turning as its EXIF says';
