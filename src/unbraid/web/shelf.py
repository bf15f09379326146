"""The models of a page: cards to choose by, and downloads of those that are not here yet.

Downloads fill the disk of the host, so the host says who may start them: only browsers on the same
machine unless told otherwise.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from unbraid.costs.processor_rate import multiply_adds_per_s
from unbraid.costs.recommended import recommended, song_seconds
from unbraid.engines.choose import torch_is_missing
from unbraid.errors import Cancelled, UnbraidError
from unbraid.separation.progress import CancelToken
from unbraid.web.refusals import Refusal, not_found
from unbraid.zoo.cards import ModelCard
from unbraid.zoo.download import cache_dir
from unbraid.zoo.licences import in_plain_words
from unbraid.zoo.open import list_models, missing_mb, pull

Downloaders = Literal["local", "all", "none"]
DOWNLOADERS: tuple[Downloaders, ...] = ("local", "all", "none")


@dataclass(frozen=True)
class DownloadView:
    """How far a download is: `progress` is 0 to 1, `error` one sentence."""

    status: Literal["none", "waiting", "downloading", "failed"] = "none"
    progress: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class CardView:
    """What is known of a model before it is chosen.

    Attributes:
        use: what it is recommended for; "" for others that are on this machine.
        size_mb: of its files, in 10^6 bytes; null if unknown before download.
        song_s: seconds for a song of four minutes on this processor, within a factor of two; null
            if unknown.
        licence, licence_in_words: of the weights, as its card states it, and what that means.
        scores: published figures (SDR in dB), each with the name of its benchmark.
        test_set_seen: whether it was trained on MUSDB18's test set, which makes figures on that
            meaningless; null if unknown.
        local: whether it is on this machine.
        needs_torch: whether it needs torch, which is not installed here.
    """

    name: str
    use: str
    description: str
    stems: tuple[str, ...]
    size_mb: float | None
    song_s: float | None
    licence: str
    licence_in_words: str
    scores: tuple[str, ...]
    test_set_seen: bool | None
    local: bool
    needs_torch: bool
    download: DownloadView


@dataclass
class _Download:
    """A download that is going on, or failed."""

    view: DownloadView = field(default_factory=lambda: DownloadView("waiting"))
    token: CancelToken = field(default_factory=CancelToken)


class Shelf:
    """Cards and downloads; one download at a time.

    Args:
        who: may start downloads.
        free_bytes: disk that stays free.
        refresh: called before cards are shown, so that what has come meanwhile is offered.
        rate: of this processor, see `multiply_adds_per_s`; measured when needed if None.
    """

    def __init__(
        self,
        who: Downloaders = "local",
        free_bytes: int = 0,
        refresh: Callable[[], None] = lambda: None,
        rate: float | None = None,
    ) -> None:
        self.who = who
        self._free_bytes = free_bytes
        self._refresh = refresh
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._downloads: dict[str, _Download] = {}
        self._rate = rate

    def cards(self) -> list[CardView]:
        """The recommended models by use, then the others that are on this machine."""
        self._refresh()
        cards = list_models()
        first = recommended(cards)
        return [self._view(card) for card in [*first, *(c for c in cards if c.local and not c.use)]]

    def card(self, name: str) -> CardView:
        """One of them.

        Raises:
            Refusal: 404.
        """
        return self._view(self._find(name))

    def download(self, name: str) -> CardView:
        """Start to download a model, or go on after a failure, unless it is here or on its way.

        Raises:
            Refusal: 404 if the page does not offer it, 507 if the disk has no room for it.
        """
        card = self._find(name)
        with self._lock:
            old = self._downloads.get(name)
            if card.local or (old is not None and old.view.status != "failed"):
                return self._shown(card)
            self._check_room(name)
            download = self._downloads[name] = _Download()
        threading.Thread(target=self._pull, args=(name, download), daemon=True).start()
        return self._view(card)

    def cancel(self, name: str) -> CardView:
        """Stop a download; what has arrived is kept for the next time.

        Raises:
            Refusal: 404.
        """
        card = self._find(name)
        with self._lock:
            download = self._downloads.pop(name, None)
        if download is not None:
            download.token.cancel()
        return self._view(card)

    def stop(self) -> None:
        """Stop all downloads."""
        for name in [*self._downloads]:
            self.cancel(name)

    def _find(self, name: str) -> ModelCard:
        for card in list_models():
            if card.name == name and (card.use or card.local):
                return card
        raise not_found("There is no such model here.")

    def _view(self, card: ModelCard) -> CardView:
        with self._lock:
            return self._shown(card)

    def _shown(self, card: ModelCard) -> CardView:
        download = self._downloads.get(card.name)
        self._rate = self._rate or multiply_adds_per_s()
        seconds = song_seconds(card, self._rate)
        return CardView(
            name=card.name,
            use=card.use,
            description=card.summary,
            stems=card.stems,
            size_mb=card.size_mb,
            song_s=None if seconds is None else round(seconds),
            licence=card.licence,
            licence_in_words=in_plain_words(card.licence),
            scores=card.scores,
            test_set_seen=card.musdb_test_seen,
            local=card.local,
            needs_torch=torch_is_missing(card.architectures) is not None,
            download=DownloadView() if card.local or download is None else download.view,
        )

    def _check_room(self, name: str) -> None:
        wanted = 1e6 * sum(size or 0 for size in missing_mb(name).values())
        folder = cache_dir()
        folder = next(path for path in [folder, *folder.parents] if path.exists())
        if shutil.disk_usage(folder).free - wanted < self._free_bytes:
            raise Refusal(
                507, "disk_full", f"The disk of this server has no room for {wanted / 1e6:.0f} MB."
            )

    def _pull(self, name: str, download: _Download) -> None:
        with self._turn:
            missing = missing_mb(name)
            arrived = dict.fromkeys(missing, 0.0)

            def on_download(file: str, there: int, total: int | None) -> None:
                download.token.check()
                arrived[file] = there / total if total else 0.0
                weights = {each: size or 1.0 for each, size in missing.items()}
                done = sum(weights.get(each, 1.0) * part for each, part in arrived.items())
                progress = min(1.0, done / max(sum(weights.values()), 1e-9))
                download.view = DownloadView("downloading", round(progress, 4))

            try:
                download.token.check()
                download.view = DownloadView("downloading")
                pull(name, on_download=on_download)
            except Cancelled:
                return
            except UnbraidError as error:
                download.view = replace(download.view, status="failed", error=_why(error))
                return
        self._refresh()
        with self._lock:
            if self._downloads.get(name) is download:
                del self._downloads[name]


def _why(error: UnbraidError) -> str:
    """Why a download failed, without addresses and folders.

    >>> _why(UnbraidError("cannot fetch https://example.org/x.th: no connection (refused)"))
    'The download failed: no connection (refused). What has arrived is kept.'
    """
    text = str(error.__cause__ or error)
    found = re.fullmatch(r"cannot (?:fetch|use) \S+: (.*)", text)
    reason = found[1] if found else "its files cannot be written here"
    return f"The download failed: {reason[:200].rstrip('.')}. What has arrived is kept."
