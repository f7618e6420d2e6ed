"""ApplicationSets to Applications: one module per generator, a pure evaluation over a World."""

from fleet.generators.evaluate import evaluate_set
from fleet.generators.result import Failed, Generated, Inputs, Missing, SetError

__all__ = ["Failed", "Generated", "Inputs", "Missing", "SetError", "evaluate_set"]
