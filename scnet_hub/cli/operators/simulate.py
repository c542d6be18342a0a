"""`scnet simulate`: what a policy would have done with the jobs of a log, or with the real decisions of a hub. Runs on
this machine; a broker is asked only for its decision log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ...errors import BadOption, ScnetError
from ...simulator import LOADS, POLICIES, Run, Scenario, Workload, chosen, simulate, summary, waits, workload_of
from ...simulator.logs import read
from ...simulator.plot import svg
from ...simulator.replay import candidates
from ...simulator.swf import Site
from ..app import App, Json, fail, print_json, print_table
from ..values import Instant, Number, Whole
from . import replay

OF_DECISIONS = ("since", "weights", "source", "save", "most")
OF_LOGS = ("traces", "by_partition", "centres", "load", "snapshot_age", "seed", "black_hole", "outages", "plot")


PATH = click.Path(dir_okay=False, path_type=Path)
T = TypeVar("T")


@click.command("simulate")
@click.option(
    "--trace",
    "traces",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A log in SWF, plain or .gz; repeatable, used in turn.",
)
@click.option(
    "--partitions-as-sites", "by_partition", is_flag=True, help="Treat each partition of a log as a machine of its own."
)
@click.option("--centres", type=Whole(1, 1000), default=22, show_default=True, help="Number of centres.")
@click.option(
    "--load",
    type=click.Choice(list(LOADS)),
    default="hot",
    show_default=True,
    help="How full the centres are with their own people's jobs.",
)
@click.option(
    "--snapshot-age", type=Number(0, 3600), default=30, show_default=True, help="Seconds between looks at a centre."
)
@click.option(
    "--days",
    type=Number(0, 366, min_open=True),
    default=2,
    show_default=True,
    help="Number of days, simulated or of a hub.",
)
@click.option("--seed", type=Whole(), default=1, show_default=True, help="The same seed gives the same result.")
@click.option(
    "--policies",
    "names",
    default="",
    help=f"Separated by commas. Default: {', '.join(POLICIES)}; with --decisions: soonest, cheapest.",
)
@click.option("--black-hole", is_flag=True, help="One centre looks idle and kills each session after 5 s.")
@click.option("--outages", is_flag=True, help="Centres are down for an hour every three days.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the waits as a picture, FILE.svg.",
)
@click.option(
    "--decisions",
    is_flag=True,
    help="Operators: compare the hub's recent decisions with other policies, instead of logs.",
)
@click.option(
    "--since", type=Instant(), metavar="TIME", help="With --decisions: decisions from then on (UTC), for --days."
)
@click.option(
    "--weights", multiple=True, help="With --decisions: soonest with weights such as price=5,away=0; repeatable."
)
@click.option("--most", type=Whole(1), default=2000, show_default=True, help="With --decisions: this many at most.")
@click.option("--save", type=PATH, help="Save the hub's decisions with their inputs, FILE.json.gz.")
@click.option("--from", "source", type=PATH, help="Replay a file of --save; no hub is asked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(context: click.Context, /, decisions: bool, names: str, as_json: bool, **settings: Any) -> None:
    """Replay logs of batch jobs at many centres, and place people's sessions among them by each policy; or replay a
    hub's decisions."""
    decided = decisions or settings["source"] is not None
    if misplaced := [name for name in (OF_LOGS if decided else OF_DECISIONS) if given(context, name)]:
        option = next(one.opts[0] for one in context.command.params if one.name == misplaced[0])
        raise click.UsageError(f"{option} is for {'logs of batch jobs' if decided else '--decisions'}.")
    kept = {name: settings.pop(name) for name in OF_DECISIONS}
    if decided:
        save, weights = kept.pop("save"), kept.pop("weights")
        against(context, names, as_json, replay.Stretch(days=settings["days"], **kept), save=save, weights=weights)
    else:
        simulated(wanted(chosen, names), as_json, **settings)


def given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def wanted(choose: Callable[..., T], *values: Any) -> T:
    """Returns the policies that `choose` finds; a mistake in their names is wrong usage."""
    try:
        return choose(*values)
    except BadOption as error:
        raise click.UsageError(f"{error} {error.hint}") from None


def against(
    context: click.Context,
    names: str,
    as_json: bool,
    stretch: replay.Stretch,
    *,
    save: Path | None,
    weights: Sequence[str],
) -> None:
    """Compares a hub's decisions with other policies."""
    if stretch.source and (stretch.since or save or given(context, "days")):
        raise click.UsageError("--from replays everything that was saved: leave out --since, --days and --save.")
    among = wanted(candidates, names, weights)
    try:
        with bar() as line:
            document = replay.replayed(stretch, context.ensure_object(App).connect, among, save, line("decisions"))
    except ScnetError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(document)
    else:
        replay.print_replay(document)


def simulated(
    names: Sequence[str],
    as_json: bool,
    *,
    traces: Sequence[Path],
    by_partition: bool,
    plot: Path | None,
    **settings: Any,
) -> None:
    try:
        scenario = Scenario(**settings)
        workload = workload_of(scenario, logs(traces, scenario.seed, by_partition))
        runs = dict(each(workload, names))
        if plot:
            draw(plot, runs, scenario)
    except ScnetError as error:
        fail(error, as_json=as_json)
    document = document_of(runs)
    if as_json:
        print_json(document)
    else:
        print_results(document)


def logs(paths: Sequence[Path], seed: int, by_partition: bool) -> list[Site]:
    return [site for path in paths for site in read(path, Random(f"{seed}/{path.name}"), by_partition=by_partition)]


def each(workload: Workload, names: Sequence[str]) -> Iterator[tuple[str, Run]]:
    with bar() as line:
        for name in names:
            yield name, simulate(workload, name, tell=line(name))


@contextmanager
def bar() -> Iterator[Callable[[str], Callable[[float], None]]]:
    """Yields a function that shows a line of progress for each policy, on stderr; shows nothing if stderr is not a
    terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:

        def line(name: str) -> Callable[[float], None]:
            task = progress.add_task(name, total=1.0)
            return lambda part: progress.update(task, completed=part)

        yield line


def draw(path: Path, runs: dict[str, Run], scenario: Scenario) -> None:
    title = (
        f"{scenario.centres} centres, {scenario.load}, snapshots up to {scenario.snapshot_age:g} s old, "
        f"{scenario.days:g} days"
    )
    try:
        path.write_text(svg({name: waits(run) for name, run in runs.items()}, title))
    except OSError as error:
        raise BadOption(f"{path} can't be written: {error.strerror}.") from None


def document_of(runs: dict[str, Run]) -> Json:
    requests = max((len(run.requests) for run in runs.values()), default=0)
    return {"requests": requests, "policies": {name: summary(run) for name, run in runs.items()}}


def print_results(document: Json) -> None:
    click.echo(f"{document['requests']} requests; waits in seconds from click to start.")
    heads = (
        "policy",
        "mean",
        "p50",
        "p95",
        "p99",
        "within 60 s",
        "submissions",
        "started twice",
        "failed starts",
        "gave up",
        "others' mean wait",
    )
    print_table(heads, (row(name, told) for name, told in document["policies"].items()), numbers=range(1, len(heads)))


def row(name: str, told: Json) -> tuple[str, ...]:
    waits = (f"{told[f'wait_{what}_s']:,.1f}" for what in ("mean", "p50", "p95", "p99"))
    shares = (
        f"{told['started_60s']:.1%}",
        f"{told['submissions_per_request']:.2f}",
        f"{told['duplicate_starts_per_request']:.3f}",
    )
    return (
        name,
        *waits,
        *shares,
        f"{told['failed_start_share']:.1%}",
        str(told["gave_up"]),
        f"{told['background_wait_mean_s']:,.0f}",
    )
