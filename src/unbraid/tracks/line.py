"""Many songs through one model: the steps of a song, laid out for the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cache, partial

from unbraid.separation.progress import CancelToken, Progress
from unbraid.tracks.decode import Decoded, decode
from unbraid.tracks.failures import attempted
from unbraid.tracks.job import TrackJob, TrackWatch
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.pipeline import OnFree, Steps, run_pipeline
from unbraid.tracks.result import TrackResult
from unbraid.tracks.separate import Separated, separate
from unbraid.tracks.write import write


def run_line(
    plans: Iterable[OutputPlan],
    make_job: Callable[[], TrackJob],
    on_progress: Callable[[Progress], None],
    on_turn: Callable[[OutputPlan], None] | None = None,
    cancel: CancelToken | None = None,
    *,
    elsewhere: bool = False,
    at_once: int = 1,
) -> Generator[TrackResult, None, None]:
    """The results of many songs; see `Separator.separate_many`.

    Args:
        plans: the songs; taken one by one on another thread.
        make_job: called once, on the first thread that needs the job.
        on_progress: called with the progress of the song whose turn it is.
        on_turn: called with each song before it is separated.
        cancel: stops all of it, when set.
        elsewhere: whether the model leaves the processor free.
        at_once: songs that may have the model at the same time, if it is elsewhere.
    """
    job, stop = cache(make_job), CancelToken(cancel)
    turn: OutputPlan | None = None

    def begin(plan: OutputPlan) -> None:
        nonlocal turn
        if plan is not turn and on_turn is not None:
            on_turn(plan)
        turn = plan

    def tell(plan: OutputPlan, progress: Progress) -> None:
        if plan is turn:
            on_progress(progress)

    def decode_one(plan: OutputPlan) -> Decoded | TrackResult:
        watch = TrackWatch(partial(tell, plan), stop)
        return attempted(plan, lambda: decode(job(), plan, watch))

    def separate_one(decoded: Decoded, on_free: OnFree) -> Separated | TrackResult:
        return attempted(decoded.plan, lambda: separate(decoded, on_free))

    def write_one(separated: Separated) -> TrackResult:
        return attempted(separated.decoded.plan, lambda: write(separated))

    if isinstance(plans, Sequence) and plans:  # nothing else is shown while it is decoded
        begin(plans[0])
    steps = Steps(decode_one, separate_one, write_one)
    yield from run_pipeline(plans, steps, begin, stop.cancel, elsewhere=elsewhere, at_once=at_once)
