"""Every error that unbraid raises on purpose.

    UnbraidError
    ├── SettingsError        the request itself is wrong: an option, a name, a combination
    │   └── SegmentTooLong   a segment beyond what the model was trained on
    ├── ShapeError           a tensor or array of the wrong shape or kind
    ├── AudioError           a sound file
    │   ├── AudioReadError   missing, empty, not audio, or damaged beyond use
    │   └── AudioWriteError  cannot be written: no rights, format too narrow
    │       └── DiskFull     there is no room for it; the next song will not fit, either
    ├── ModelError           a model or its weights
    │   ├── UnknownModel     no model of that name or at that path
    │   └── CheckpointError  a file of weights that is damaged, foreign or refused
    ├── EvaluationError      references and estimates that cannot be compared
    ├── TrainingError        a training run that cannot continue
    └── Cancelled            the caller asked to stop

A message says what was wrong, what came and what would do, in one line. The command line prints it
as it is, and in one line what the system refuses to do with a file; any other exception is a bug of
ours and keeps its traceback.
"""

from __future__ import annotations


class UnbraidError(Exception):
    """Base of all errors raised on purpose."""


class SettingsError(UnbraidError):
    """The request itself is wrong."""


class SegmentTooLong(SettingsError):
    """A segment longer than the model can take."""


class ShapeError(UnbraidError):
    """A tensor or array of the wrong shape or kind."""


class AudioError(UnbraidError):
    """Something about a sound file."""


class AudioReadError(AudioError):
    """A file that cannot be read as sound."""


class AudioWriteError(AudioError):
    """A file that cannot be written."""


class DiskFull(AudioWriteError):
    """There is no room on the disk."""


class ModelError(UnbraidError):
    """Something about a model or its weights."""


class UnknownModel(ModelError):
    """No model of that name or at that path."""


class CheckpointError(ModelError):
    """A file of weights that is damaged, foreign or refused."""


class EvaluationError(UnbraidError):
    """References and estimates that cannot be compared."""


class TrainingError(UnbraidError):
    """A training run that cannot continue."""


class Cancelled(UnbraidError):
    """The caller asked to stop."""


def how_to_install(extra: str) -> str:
    """What installs an extra, in the words of messages.

    >>> how_to_install("web")
    "pip install 'unbraid[web]', or in a copy of the repository pip install '.[web]'"
    """
    return (
        f"pip install 'unbraid[{extra}]', or in a copy of the repository pip install '.[{extra}]'"
    )
