"""Forms of models that compute the same with less work on the CPU; the readable ones are the law.

`quicken` gives the form of a model, or the model itself where there is none.
"""

from unbraid.engines.torch.inference.forms import quicken

__all__ = ["quicken"]
