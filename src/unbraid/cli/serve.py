"""Run a web page and an HTTP API for separating songs, on this machine.

unbraid serve                                http://127.0.0.1:8000/
unbraid serve --demo                         with a song to try the mixer on
unbraid serve --host 0.0.0.0 --key-file KEY  for others on the network
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.cli.commands import add_model
from unbraid.cli.types import thread_count
from unbraid.errors import SettingsError, how_to_install

if TYPE_CHECKING:
    from unbraid.web.serve import ServerSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Address, limits and key of the server."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 for all (%(default)s)")
    add("--port", type=int, default=8000, help="0 picks a free one (%(default)s)")
    add("--data", metavar="DIR", help="folder for songs (the user's data folder)")
    add_model(parser, "model of the page")
    add("--demo", action="store_true", help="with the demo song in the library")
    _add_work(parser.add_argument_group("work"))
    _add_limits(parser.add_argument_group("limits"))
    _add_access(parser.add_argument_group("access"))


def _add_work(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--device",
        metavar="D,E",
        default="auto",
        help="auto, cpu, cuda:N or mps; one worker for each (%(default)s)",
    )
    add("--threads", metavar="N", type=thread_count, help="CPU threads of a worker")


def _add_limits(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--max-upload", metavar="SIZE", default="2GB", help="of one file (%(default)s)")
    add("--max-minutes", metavar="N", type=float, default=120.0, help="of a song (%(default)g)")
    add("--max-queue", metavar="N", type=int, default=100, help="songs that wait (%(default)s)")
    add("--min-free", metavar="SIZE", default="1GB", help="of the disk (%(default)s)")
    add("--keep-days", metavar="N", type=float, help="delete songs after N days (keep them)")


def _add_access(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--key-file",
        metavar="FILE",
        help="file with the key in its first line (UNBRAID_KEY, or no key)",
    )
    add(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name under which others reach this computer; can be repeated",
    )
    add(
        "--downloads",
        metavar="WHO",
        choices=("local", "all", "none"),
        default="local",
        help="who may download models: local (this computer only), all, none (%(default)s)",
    )
    add(
        "--public-url",
        metavar="URL",
        help="address of a reverse proxy in front of this server, printed instead of its own",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    try:
        from unbraid.web.serve import Site
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"serving needs more packages ({error.name}): {how_to_install('web')}"
        ) from None

    settings = _settings(options)
    for_others = settings.public_url is not None or not _is_loopback(settings.host)
    site = Site(settings, lambda: _say_where(site.url, for_others))
    if settings.key is None and not _is_loopback(settings.host):
        print(
            "unbraid: everyone on the network can use this server and hear its songs; "
            "--key-file sets a key",
            file=sys.stderr,
        )
    if settings.demo and site.service.demo_is_due():
        print(
            "unbraid: the demo song is separated first, which takes about half a minute",
            file=sys.stderr,
        )
    site.run()
    return 0


def _say_where(url: str, for_phones: bool) -> None:
    """The address, on a terminal also as a QR code."""
    print(f"unbraid: {url} (Ctrl-C ends it)", flush=True)
    if not for_phones or not sys.stdout.isatty():
        return
    try:
        import segno
    except ModuleNotFoundError:  # the extra of an older version had no QR codes
        return
    segno.make(url, micro=False).terminal(compact=True)


def _settings(options: argparse.Namespace) -> ServerSettings:
    from unbraid.costs.sizes import parse_bytes
    from unbraid.web.limits import Limits
    from unbraid.web.serve import ServerSettings

    limits = Limits(
        upload_bytes=parse_bytes(options.max_upload),
        seconds=60 * options.max_minutes,
        queue=options.max_queue,
        free_bytes=parse_bytes(options.min_free),
        keep_days=options.keep_days,
    )
    return ServerSettings(
        host=options.host,
        port=options.port,
        data=Path(options.data) if options.data else None,
        model=options.model,
        devices=tuple(name.strip() for name in options.device.split(",") if name.strip())
        or ("auto",),
        threads=options.threads,
        key=_key(options.key_file),
        allow_hosts=tuple(options.allow_host),
        public_url=options.public_url,
        downloads=options.downloads,
        demo=options.demo,
        limits=limits,
    )


def _key(path: str | None) -> str | None:
    if path is None:
        return os.environ.get("UNBRAID_KEY") or None
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"the key cannot be read from {path!r}: {error}") from None
    if not lines or not lines[0].strip():
        raise SettingsError(f"the first line of {path!r} is the key, but it is empty")
    return lines[0].strip()


def _is_loopback(host: str) -> bool:
    from unbraid.web.security import is_loopback

    return is_loopback(host)
