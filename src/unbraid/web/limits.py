"""What one server takes on, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError


@dataclass(frozen=True)
class Limits:
    """Bounds that keep one client from using up the machine.

    Attributes:
        upload_bytes: of one file.
        seconds: length of one song.
        queue: songs that wait or run at once.
        library: songs in all, finished ones with them.
        free_bytes: disk that stays free.
        idle_s: an upload that sends nothing for so long is cut.
        upload_s: and one that takes longer than this.
        slowest_bytes_s: or is slower than this, after the first ten seconds.
        read_s: time to decode a file; what takes longer is given up.
        read_bytes: memory a decoder may take.
        separate_s: time without any progress after which a separation is given up.
        listeners: pages and programs that may listen for news at once.
        keep_days: finished songs are deleted after this many days; None keeps them.
    Raises:
        SettingsError: for a bound below what makes sense.
    """

    upload_bytes: int = 2_000_000_000
    seconds: float = 7200.0
    queue: int = 100
    library: int = 10_000
    free_bytes: int = 1_000_000_000
    idle_s: float = 30.0
    upload_s: float = 7200.0
    slowest_bytes_s: int = 2_000
    read_s: float = 600.0
    read_bytes: int = 4_000_000_000
    separate_s: float = 1800.0
    listeners: int = 256
    keep_days: float | None = None

    def __post_init__(self) -> None:
        for name in ("upload_bytes", "seconds", "queue", "library"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"the limit {name} is more than 0, got {getattr(self, name)}")
        if self.keep_days is not None and self.keep_days <= 0:
            raise SettingsError(f"songs are kept for more than 0 days, got {self.keep_days}")
