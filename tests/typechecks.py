"""The checks of annotations that run under the tests: an int will do where a float is asked for.

They are those of `jaxtyping.jaxtyped` with beartype, at a tenth of the time: a check is made at the
first call, as most functions that a test process imports are never called; and only functions whose
annotations name shapes compare shapes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from types import FunctionType
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, config, install_import_hook, jaxtyped

_check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError))


def check_annotations(package: str) -> None:
    """From now on, what is imported of `package` checks its annotations at every call."""
    jaxtyping.jaxtyped = lambda typechecker: checked  # what the hook decorates with
    install_import_hook(package, None)


def checked(thing: Any) -> Any:
    """A function, or a class whose `__init__` is made from its fields, with checks."""
    if not inspect.isclass(thing):
        return _checked(thing)
    made = vars(thing).get("__init__")
    if is_dataclass(thing) and made is not None and not hasattr(made, "__wrapped__"):
        thing.__init__ = _checked(made)
    return thing


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    with_checks = None

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        nonlocal with_checks
        if config.jaxtyping_disable:
            return function(*values, **named)
        if with_checks is None:
            with_checks = _with_checks(function)
        return with_checks(*values, **named)

    return call


def _with_checks(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function):  # checked at the call, not at the first value
        return jaxtyped(function, typechecker=_check)
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
    copy.__annotations__ = {
        name: _meant(written, function.__globals__)
        for name, written in function.__annotations__.items()
    }
    call = _check(copy)
    return _sharing_sizes(call) if any(map(_names_sizes, copy.__annotations__.values())) else call


def _meant(written: Any, names: dict[str, Any]) -> Any:
    """The type that an annotation means; any, if only type checkers know its names."""

    def annotated() -> None: ...

    annotated.__annotations__ = {"it": written}
    try:
        return get_type_hints(annotated, names, include_extras=True)["it"]
    except Exception:
        return Any


def _names_sizes(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    return any(map(_names_sizes, get_args(hint)))


def _sharing_sizes(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, in each call of which a letter stands for one size."""

    def call(*values: Any, **named: Any) -> Any:
        with jaxtyped("context"):
            return function(*values, **named)

    return call
