"""Commands that keep house: store, warehouse."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, current_home
from foodvision.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from foodvision.store import Entry, Store

_DAMAGED = 1
_KINDS = (
    tables.Column("Kind", "kind"),
    tables.Column("Entries", "entries", tables.number, is_number=True),
    tables.Column("Size", "bytes", tables.size, is_number=True),
)


def register(app: typer.Typer) -> None:
    """Add the groups."""
    for name, text, commands in (
        ("store", "The finished stages.", (("ls", ls), ("verify", verify), ("gc", gc))),
        ("warehouse", "The DuckDB file of results.", (("rebuild", rebuild), ("export", export))),
    ):
        group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
        for command, function in commands:
            group.command(command, epilog=_EXAMPLES[f"{name} {command}"])(function)
        app.add_typer(group, name=name)


_EXAMPLES = {
    "store ls": (
        "\b\nExample:\n"
        "  $ foodvision store ls\n"
        "  Kind          Entries      Size\n"
        "  dataset             2  489.8 kB\n"
        "  pixels-shard        1  575.6 kB\n"
        "  score              16  232.4 kB\n"
        "  train               8    4.1 MB\n"
        "  in all             27    5.1 MB"
    ),
    "store verify": "\b\nExample:\n  $ foodvision store verify\n  27 entries, none damaged",
    "store gc": (
        "\b\nExample:\n"
        "  $ foodvision store gc --unreached --dry-run\n"
        "  would remove 4 entries, 1.2 GB\n"
        "  Kind            Entries     Size\n"
        "  features-shard        1   1.2 GB\n"
        "  train                 3  96.5 kB"
    ),
    "warehouse rebuild": (
        "\b\nExample:\n  $ foodvision warehouse rebuild\n  3 runs loaded from their journals"
    ),
    "warehouse export": (
        "\b\nExample:\n"
        "  $ foodvision warehouse export results\n"
        "  Table              Rows  File\n"
        "  cell_runs             8  results/cell_runs.parquet\n"
        "  cells                 8  results/cells.parquet"
    ),
}


def ls(home: HomeFolder = None, as_json: AsJson = False) -> None:  # noqa: ARG001
    """List what the store holds, by kind."""
    from tasks.reach import find_entries

    store = _store()
    found = find_entries(store)
    _warn_unreadable(found.problems)
    rows = _by_kind(found.entries)
    if rows and not as_json:
        sums = {name: sum(row[name] for row in rows) for name in ("entries", "bytes")}
        rows.append({"kind": "in all", **sums})
    tables.print_rows(rows, _KINDS, as_json=as_json, empty=f"{store.root} is empty.")


def verify(home: HomeFolder = None, as_json: AsJson = False) -> None:  # noqa: ARG001
    """Compare every file with its checksum; set damaged entries aside, to be computed again.

    Exits with 1 if anything was damaged.
    """
    store = _store()
    rows: list[dict[str, Any]] = []
    checked = 0
    for kind, key in _keys(store):
        checked += 1
        if problems := store.verify(kind, key):
            aside = store.set_aside(kind, key)
            rows += [{"kind": kind, "problem": text, "moved_to": str(aside)} for text in problems]
    columns = (tables.Column("Kind", "kind"), tables.Column("Problem", "problem"))
    tables.print_rows(rows, columns, as_json=as_json, empty=f"{checked} entries, none damaged")
    if rows:
        raise typer.Exit(_DAMAGED)


def gc(
    older_than: Annotated[
        float | None, typer.Option("--older-than", min=0, help="Days since it was written.")
    ] = None,
    keep: Annotated[
        float | None, typer.Option("--keep", min=0, help="GB that may stay; the oldest go first.")
    ] = None,
    unreached: Annotated[
        bool, typer.Option("--unreached", help="Only what no kept run reaches.")
    ] = False,
    runs: Annotated[
        int | None,
        typer.Option("--runs", metavar="N", min=0, help="Kept are a plan's last N; default: all."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    home: HomeFolder = None,  # noqa: ARG001
    as_json: AsJson = False,
) -> None:
    """Remove stages by reach, age or size; a run that needs one of them computes it again.

    What a run under way reaches stays. A run is kept as long as its journal is. What runs left
    half written when they were killed goes too; so do the logs of stages that go, and of runs
    whose journal has gone.
    """
    from flows.crashes import living_runs
    from tasks.logs import doomed_logs, remove_logs
    from tasks.reach import REACH_LOCK, Rule, doomed, find_entries

    rule = Rule(
        older_than, None if keep is None else keep * 1e9, unreached or runs is not None, runs
    )
    if older_than is None and keep is None and not rule.unreached:
        raise StoreError(
            "gc removes by a rule, but none was given. Use --unreached, --older-than DAYS, "
            "--keep GB, or several of them."
        )
    place, store = current_home(), _store()
    if not store.root.is_dir():
        tables.print_rows([], (), as_json=as_json, empty=f"{store.root} is empty.")
        return
    with store.lock(REACH_LOCK):
        found = find_entries(store)
        living = living_runs(place)
        going = doomed(found.entries, rule, place, store, living)
        logs = doomed_logs(place, going, living, older_than=older_than)
        rows = [*_by_kind(going), *_log_row(logs)]
        if not dry_run:
            store.remove_leftovers()
            for entry in going:
                store.remove(entry.kind, entry.key)
            remove_logs(logs)
    _warn_unreadable(found.problems)
    if as_json:
        tables.print_json(rows)
        return
    size = tables.size(sum(row["bytes"] for row in rows))
    entries = f"{len(going):,} entries" + (f" and {tables.count(len(logs), 'log')}" if logs else "")
    tables.say(f"{'would remove' if dry_run else 'removed'} {entries}, {size}")
    if rows:
        tables.print_rows(rows, _KINDS, as_json=False, empty="")


def _log_row(logs: Sequence[Path]) -> list[dict[str, Any]]:
    size = sum(path.stat().st_size for path in logs)
    return [{"kind": "log", "entries": len(logs), "bytes": size}] if logs else []


def _by_kind(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    kinds: dict[str, list[int]] = {}
    for entry in entries:
        kinds.setdefault(entry.kind, []).append(entry.size_bytes)
    return [
        {"kind": kind, "entries": len(sizes), "bytes": sum(sizes)}
        for kind, sizes in sorted(kinds.items())
    ]


def _warn_unreadable(problems: Sequence[str]) -> None:
    for problem in problems:
        typer.echo(f"passed over: {problem}", err=True)


def rebuild(home: HomeFolder = None) -> None:  # noqa: ARG001
    """Make the warehouse again from the journals and the store."""
    from tasks.loading import rebuild as rebuild_warehouse

    tables.say(f"{rebuild_warehouse(current_home())} runs loaded from their journals")


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    home: HomeFolder = None,  # noqa: ARG001
    as_json: AsJson = False,
) -> None:
    """Write every table and view of the warehouse as a Parquet file, comments included."""
    from tasks.exporting import export as export_warehouse

    rows = [
        {"table": each.name, "rows": each.rows, "path": str(each.path)}
        for each in export_warehouse(current_home(), folder)
    ]
    columns = (
        tables.Column("Table", "table"),
        tables.Column("Rows", "rows", tables.number, is_number=True),
        tables.Column("File", "path"),
    )
    tables.print_rows(rows, columns, as_json=as_json, empty="")


def _store() -> Store:
    from foodvision.store import Store

    return Store(current_home().store)


def _keys(store: Store) -> Iterator[tuple[str, str]]:
    """Yield kind and key of every entry, also of those whose manifest cannot be read."""
    for kind in store.kinds():
        yield from ((kind, key) for key in list(store.keys(kind)))
