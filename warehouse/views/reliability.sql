-- grain: one row per result, raw or calibrated, and bin of probability that holds test images
-- result_key, is_calibrated, bin: the row; calibrated is at the temperature of the result
-- lower, upper: probabilities of the bin, in (lower, upper]; 15 bins of equal width
-- images: whose predicted class has a probability in the bin
-- confidence, accuracy: mean probability of these images, and share of them classified rightly
create or replace view reliability as
with judged as (
    select
        predictions.result_key,
        predictions.is_correct,
        predictions.probability as raw,
        -- Softmax at the temperature: the predicted class has the highest logit.
        1 / list_sum(
            list_transform(
                cast(predictions.logits as double[]),
                lambda logit: exp(
                    (logit - list_max(cast(predictions.logits as double[]))) / metrics.temperature
                )
            )
        ) as calibrated
    from predictions
    left join metrics
        on predictions.result_key = metrics.result_key and metrics.split = 'test'
    where not isnan(predictions.probability)
),

answers as (
    select
        result_key,
        is_correct,
        unnest([false, true]) as is_calibrated,
        unnest([raw, calibrated]) as probability
    from judged
),

binned as (
    select
        result_key,
        is_calibrated,
        is_correct,
        probability,
        cast(greatest(ceil(probability * 15), 1) as integer) as bin
    from answers
    where probability is not null
)

select
    result_key,
    is_calibrated,
    bin,
    (bin - 1) / 15 as lower,
    bin / 15 as upper,
    count(*) as images,
    avg(probability) as confidence,
    avg(cast(is_correct as integer)) as accuracy
from binned
group by result_key, is_calibrated, bin;

comment on view reliability is 'one row per result, raw or calibrated, and bin of probability that holds test images';
comment on column reliability.result_key is 'the result, as in cell_runs';
comment on column reliability.is_calibrated is 'probabilities are at the temperature of the result; false: as the model gives them';
comment on column reliability.bin is 'from 1 to 15, by probability of the predicted class';
comment on column reliability.lower is 'probabilities of the bin are above this, in [0, 1)';
comment on column reliability.upper is 'and at most this';
comment on column reliability.images is 'test images whose predicted class has a probability in the bin';
comment on column reliability.confidence is 'mean probability of these images, in [0, 1]';
comment on column reliability.accuracy is 'share of these images classified rightly, in [0, 1]';
