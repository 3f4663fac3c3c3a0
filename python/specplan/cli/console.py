"""The terminal UI of `mlx experiments monitor --console`. Imported only with the extra `terminal`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import App
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Footer, Header, Static
from textual.worker import get_current_worker

from specplan.results.standing import Watch, duration, sparkline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from textual.app import ComposeResult

    from specplan.results.standing import Standing

COLUMNS = ("Experiment", "Run", "Host", "Status", "Done", "Epoch", "Progress", "Left", "Metrics")
ORDERS: dict[str, Callable[[Standing], object]] = {
    "experiment": lambda each: each.experiment,
    "status": lambda each: (str(each.status), each.experiment),
    "started": lambda each: (each.started_at, each.experiment),
    "host": lambda each: (each.host, each.experiment),
}
"""What the table can be sorted by, in the order in which `s` goes through them."""
SHOWN_METRICS = 2
SPARK_WIDTH = 12


class Console(App[None]):
    """A table of the newest run of every experiment; below it the metrics and the log of the chosen one.

    Reading is done in a thread, so keys are answered while a disk is slow.
    """

    TITLE = "mlx experiments"
    CSS = """
    DataTable { height: 1fr; }
    #below { height: 45%; border-top: solid $primary; }
    #metrics, #log { width: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar = [
        Binding("q", "quit", "Quit"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
    ]

    def __init__(self, root: Path, *, every: float) -> None:
        super().__init__()
        self._watch = Watch(root)
        self._every = every
        self._looking = threading.Lock()
        self._found: list[Standing] = []
        self._told: tuple[str | None, list[str]] = (None, [])
        self._order = "experiment"
        self._descends = False

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield Header()
        yield DataTable(cursor_type="row")
        with Horizontal(id="below"):
            with VerticalScroll():
                yield Static(id="metrics")
            with VerticalScroll():
                yield Static(id="log")
        yield Footer()

    def on_mount(self) -> None:
        """Look for the first time, and from then on again and again."""
        self._table.add_columns(*COLUMNS)
        self.look()
        self.set_interval(self._every, self.look)

    @work(thread=True, exclusive=True, exit_on_error=True)
    def look(self) -> None:
        """Read how the runs stand, and show it."""
        with self._looking:
            found = self._watch.look()
            chosen = self._chosen
            log = [] if chosen is None else self._watch.log_of(chosen)
        if not get_current_worker().is_cancelled:
            self.call_from_thread(self._show, found, (chosen, log))

    def action_sort(self) -> None:
        """Sort by the next column."""
        names = [*ORDERS]
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self._show(self._found, self._told)

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._descends = not self._descends
        self._show(self._found, self._told)

    def on_data_table_row_highlighted(self) -> None:
        """Another run was chosen."""
        self._show_chosen()

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    @property
    def _chosen(self) -> str | None:
        table = self._table
        if not table.row_count:
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    def _show(self, found: list[Standing], told: tuple[str | None, list[str]]) -> None:
        chosen = self._chosen
        self._found, self._told = found, told
        self.sub_title = f"{len(found)} experiments, by {self._order}"
        ordered = sorted(found, key=ORDERS[self._order], reverse=self._descends)  # type: ignore[arg-type]
        table = self._table
        with self.batch_update():
            table.clear()
            for each in ordered:
                table.add_row(*map(Text, _cells(each)), key=each.experiment)
            names = [each.experiment for each in ordered]
            if chosen in names:
                table.move_cursor(row=names.index(chosen))
        self._show_chosen()

    def _show_chosen(self) -> None:
        chosen = self._chosen
        each = next((each for each in self._found if each.experiment == chosen), None)
        self.query_one("#metrics", Static).update(
            Text("" if each is None else "\n".join(_courses(each)))
        )
        told_by, log = self._told
        self.query_one("#log", Static).update(Text("\n".join(log) if told_by == chosen else ""))


def _cells(each: Standing) -> Iterable[str]:
    metrics = "  ".join(
        f"{name} {values[-1]:.6g} {sparkline(values, SPARK_WIDTH)}"
        for name, values in [*each.metrics.items()][:SHOWN_METRICS]
    )
    epoch = "" if each.epoch is None else str(each.epoch)
    done = f"{each.done}/{each.total}"
    now = f"{100 * each.progress[0].value:.0f} %" if each.progress else ""
    left = "" if each.remaining_seconds is None else duration(each.remaining_seconds)
    status = str(each.status)
    return each.experiment, each.run_id, each.host, status, done, epoch, now, left, metrics


def _bar(value: float) -> str:
    done = round(value * SPARK_WIDTH)
    return "█" * done + "░" * (SPARK_WIDTH - done)


def _courses(each: Standing) -> list[str]:
    """A line for each level of progress, each metric of a run, and then of its system."""
    series = {**each.metrics, **{f"system/{name}": values for name, values in each.system.items()}}
    width = max(map(len, series), default=0)
    levels = [
        f"{'  ' * depth}{_bar(level.value)} {level}" for depth, level in enumerate(each.progress)
    ]
    return levels + [
        f"{name.ljust(width)}  {values[-1]:<12.6g} {sparkline(values, 2 * SPARK_WIDTH)}"
        for name, values in series.items()
    ]
