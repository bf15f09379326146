"""The former place of `unbraid.threads`."""

from unbraid.threads import get_threads, physical_cores, processors, set_threads

__all__ = ["get_threads", "physical_cores", "processors", "set_threads"]
