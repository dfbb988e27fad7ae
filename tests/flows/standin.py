"""A flow of the same name and parameters as the real one, that only says where it is."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from prefect import flow, task


@task(name="look")
def look(plan: str) -> str:
    text = Path(plan).read_text(encoding="utf-8")
    if text.startswith("sleep"):
        time.sleep(float(text.split()[1]))
    return text


@flow(name="foodvision")
def grid(
    plan: str | dict[str, Any],
    set: dict[str, Any] | list[str] | None = None,  # noqa: A002 - as the real flow has it
    home: str | None = None,
    refresh: bool = False,
) -> None:
    text = look.with_options(task_run_name="look at the plan")(str(plan))
    said = Path(os.environ["FOODVISION_HOME"]) / "said.txt"
    said.parent.mkdir(parents=True, exist_ok=True)
    said.write_text(f"{text}|{refresh}|{Path.cwd()}", encoding="utf-8")
