"""Commands that call a function of ours in a new Python process."""

from __future__ import annotations

import sys
from pathlib import Path


def python_command(module: str, function: str, *arguments: object) -> list[str]:
    """Return the command that calls a function of ours with literals.

    The child runs the code that this process runs, wherever either was started: not what lies in
    the working directory, nor another version that happens to be installed.
    """
    root = str(Path(__file__).resolve().parent.parent)
    given = ", ".join(repr(argument) for argument in arguments)
    code = (
        f"import sys; root = {root!r}; root in sys.path or sys.path.insert(0, root); "
        f"from {module} import {function}; {function}({given})"
    )
    return [sys.executable, "-P", "-c", code]
