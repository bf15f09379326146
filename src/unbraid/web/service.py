"""The work behind the routes: jobs, their files, and their events."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from unbraid.web.answers import JobView, show_job
from unbraid.web.choices import JobSettings, Model, choose
from unbraid.web.events import Hub
from unbraid.web.job import Job
from unbraid.web.jobs import JobStore
from unbraid.web.limits import Limits
from unbraid.web.parts import NO_SONG, not_ready
from unbraid.web.refusals import Refusal, not_found
from unbraid.web.reports import Reports
from unbraid.web.security import Keys
from unbraid.web.shelf import Shelf
from unbraid.web.shown import new_name
from unbraid.web.storage import ID, Storage, new_id
from unbraid.web.upload import Upload
from unbraid.web.workers import Workers
from unbraid.words import counted

_SWEEP_S = 600.0


class Service:
    """One server's jobs.

    Args:
        storage: its folder.
        limits: of uploads, queue and library.
        models: name to offered model.
        key: of the API; None for open access.
        devices, threads: see `Workers`.
        shelf: where models are chosen and downloaded.
    """

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        models: Mapping[str, Model],
        key: str | None = None,
        devices: tuple[str, ...] = ("auto",),
        threads: int | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.shelf = shelf or Shelf()
        self.storage = storage
        self.limits = limits
        self.models = models
        self.keys = Keys(key)
        self.store = JobStore(storage.database)
        self.hub = Hub(limits.listeners)
        self.workers = Workers(
            self.store, storage, limits, models, devices, threads, self._on_change
        )
        self.reports = Reports(
            storage, devices[0] if devices else "auto", threads, self.hub.changed
        )
        self._ended = threading.Event()
        self._retention = threading.Thread(target=self._keep_tidy, name="retention", daemon=True)

    def start(self) -> None:
        """Clean up after a crash, and start the workers."""
        self.storage.sweep(self.store.ids())
        self.workers.start()
        self._retention.start()

    def stop(self) -> None:
        """Stop the workers and release the folder."""
        self._ended.set()
        self.hub.close()
        self.reports.stop()
        self.shelf.stop()
        self.workers.stop()
        if self._retention.is_alive():
            self._retention.join(5.0)
        self.store.close()
        self.storage.close()

    def job(self, id: str) -> Job:
        """A job.

        Raises:
            Refusal: 404.
        """
        job = self.store.get(id) if ID.fullmatch(id) else None
        if job is None:
            raise not_found(NO_SONG)
        return job

    def show(self, job: Job) -> JobView:
        """A job in API form."""
        return show_job(job, self.store.position(job), self.reports.view(job.id))

    def show_id(self, id: str) -> JobView | None:
        """The same, by its id; None if it was deleted."""
        job = self.store.get(id)
        return None if job is None else self.show(job)

    def check_room(self) -> None:
        """Check that another song can be added.

        Raises:
            Refusal: 429 if the queue or the library is full, 507 if the disk is.
        """
        if self.store.unfinished() >= self.limits.queue:
            raise self._queue_full()
        if self.store.count() >= self.limits.library:
            raise Refusal(429, "library_full", "The library is full; delete some songs first.")
        if self.storage.free_bytes() < self.limits.free_bytes:
            raise Refusal(507, "disk_full", "The disk of this server is full.")

    def create(self, upload: Upload, suffix: str, *, demo: bool = False) -> Job:
        """Queue an upload.

        Raises:
            Refusal: 422 for invalid settings, 429 if the queue is full; the upload is deleted.
        """
        try:
            settings = choose(upload.fields, self.models)
            id = new_id()
            self.storage.take(id, upload.path, suffix)
            return self._add(id, upload.name, suffix, settings, demo=demo)
        finally:
            upload.path.unlink(missing_ok=True)

    def create_full(self, id: str) -> Job:
        """Queue the whole song of a preview.

        Raises:
            Refusal: 404, 409 if the job is not a preview, 429.
        """
        preview = self.job(id)
        if not preview.settings.preview:
            raise Refusal(409, "no_preview", "The whole song has been separated already.")
        settings = replace(preview.settings, preview=False)
        new = new_id()
        try:
            self.storage.share(id, new, preview.suffix)
        except OSError:
            self.storage.remove(new)
            raise not_found(NO_SONG) from None
        return self._add(new, preview.name, preview.suffix, settings, renamed=preview.renamed)

    def rename(self, id: str, text: str) -> Job:
        """Give a song another name.

        Raises:
            Refusal: 404, or 422 if it is not a name.
        """
        name = new_name(self.job(id).name, text)
        if not name:
            raise Refusal(422, "bad_name", "A name has at least one letter or digit.")
        self.store.rename(id, name)
        self.hub.changed(id)
        return self.job(id)

    def move(self, id: str, position: int) -> Job:
        """Move a waiting job to another position in the queue.

        Raises:
            Refusal: 404, or 409 if it does not wait.
        """
        self.job(id)
        if not self.store.move(id, position):
            raise Refusal(409, "not_queued", "This song is no longer waiting.")
        self._positions_changed()
        return self.job(id)

    def make_report(self, id: str) -> Job:
        """Make the report of a song, unless it is there already.

        Raises:
            Refusal: 404, or 409 if the song is not separated.
        """
        job = self.job(id)
        if job.status != "succeeded":
            raise not_ready()
        model = self.models.get(job.settings.model)
        self.reports.make(job, None if model is None else model.source)
        return job

    def cancel(self, id: str) -> Job:
        """Stop a waiting or running job.

        Raises:
            Refusal: 404, or 409 if it has ended already.
        """
        if self.job(id).is_final:
            raise Refusal(409, "has_ended", "This song has already ended.")
        if self.store.cancel_waiting(id):
            self._on_change(id)
        else:
            self.workers.cancel(id)
        return self.job(id)

    def retry(self, id: str) -> Job:
        """Queue a failed or cancelled job again.

        Raises:
            Refusal: 404, 409 if it neither failed nor was cancelled, 429.
        """
        job = self.job(id)
        if job.status not in ("failed", "canceled"):
            raise Refusal(
                409, "not_failed", "Only a song that failed or was stopped can be tried again."
            )
        if not self.store.retry(id, self.limits.queue):
            raise self._queue_full()
        self._queued(id)
        return self.job(id)

    def delete(self, id: str) -> None:
        """Delete a job and its files.

        Raises:
            Refusal: 404.
        """
        self.job(id)
        self.store.delete(id)
        self.reports.forget(id)
        self.hub.deleted(id)
        self.workers.discard(id)
        self._positions_changed()

    def finished_song(self, id: str) -> Path:
        """The folder of a song that is separated.

        Raises:
            Refusal: 404, or 409 if it is not.
        """
        job = self.job(id)
        if job.status != "succeeded":
            raise not_ready()
        return self.storage.song(job.id)

    def demo_is_due(self) -> bool:
        """Whether the demo song is waiting or running."""
        return any(job.demo for job in self.store.with_status("queued", "running"))

    def _add(
        self,
        id: str,
        name: str,
        suffix: str,
        settings: JobSettings,
        *,
        demo: bool = False,
        renamed: bool = False,
    ) -> Job:
        job = self.store.add(
            id,
            name,
            suffix,
            settings,
            bytes=self.storage.used_bytes(id),
            demo=demo,
            renamed=renamed,
            most_waiting=self.limits.queue,
        )
        if job is None:
            self.storage.remove(id)
            raise self._queue_full()
        self._queued(id)
        return self.job(id)

    def _queued(self, id: str) -> None:
        self._on_change(id)
        self.workers.wake()

    def _queue_full(self) -> Refusal:
        return Refusal(
            429,
            "queue_full",
            f"the queue is full ({counted(self.limits.queue, 'song')}); "
            "try again when some are done.",
            {"Retry-After": "60"},
        )

    def _on_change(self, id: str) -> None:
        self.hub.changed(id)
        job = self.store.get(id)
        if job is None or job.status != "running" or job.live.progress == 0.0:
            self._positions_changed()

    def _positions_changed(self) -> None:
        for job in self.store.with_status("queued"):
            self.hub.changed(job.id)

    def _keep_tidy(self) -> None:
        """Delete expired songs."""
        while True:
            if self.limits.keep_days is not None:
                for job in self.store.finished_before(time.time() - 86_400 * self.limits.keep_days):
                    with suppress(Refusal):
                        self.delete(job.id)
            if self._ended.wait(_SWEEP_S):
                return
