"""Jobs as the API shows them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from unbraid.web.jobs import Job

_FACTS = (
    *("seconds_audio", "sample_rate", "channels", "samples", "loudness_lufs", "tempo_bpm", "key"),
    *("null_test_db", "gain_db", "preview_start_s", "seconds_whole", "seconds_wall"),
)


def show_job(job: Job, position: int | None) -> dict[str, Any]:
    """A job as JSON has it."""
    running = job.status == "running"
    stage = {"queued": "waiting", "running": job.live.stage}.get(job.status, "done")
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "progress": job.live.progress if running else float(job.status == "succeeded"),
        "stage": stage,
        "seconds_left": job.live.seconds_left if running else None,
        "position": position,
        "error": job.error,
        "created": _time(job.created),
        "started": _time(job.started),
        "finished": _time(job.finished),
        "settings": job.settings,
        "parts": job.facts.get("parts", []) if running or job.status == "succeeded" else [],
        "notes": job.facts.get("notes", []),
        "samples_ready": job.facts.get("samples", 0)
        if job.status == "succeeded"
        else job.live.samples_ready,
        **{name: job.facts.get(name) for name in _FACTS},
        "bytes": job.bytes,
        "demo": job.demo,
    }


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
