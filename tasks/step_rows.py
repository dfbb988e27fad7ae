"""The optimiser steps of a result, as columns for the warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from foodvision.stages.steps import chain_steps
from tasks.tables import SCHEMAS

if TYPE_CHECKING:
    from foodvision.store import Store


def step_columns(
    result_key: str, final: str, last_epoch: int | None, store: Store
) -> pa.Table | None:
    """Return the noted steps behind a state; `None` where there are none.

    Args:
        result_key: of the result.
        final: key of the state.
        last_epoch: leave out the steps of later ones; `None`: none.
        store: where they lie.
    """
    steps = chain_steps(store, final, last_epoch=last_epoch)
    if not steps.num_rows:
        return None
    keyed = steps.append_column("result_key", pa.repeat(result_key, steps.num_rows))
    return keyed.select(SCHEMAS["steps"].names).cast(SCHEMAS["steps"])
