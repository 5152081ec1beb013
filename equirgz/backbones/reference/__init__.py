"""The same networks in escnn and e2cnn, and converters of weights in both directions.

Neither library is imported before it is asked for; both belong to the extra ``reference``, which
CONTRIBUTING.md installs without a compiler. Use these engines to check and to compare: their
layers, left in eval mode, ignore later changes of their weights, and D_N ones cannot be pickled.
"""

from equirgz.backbones.reference.build import create_reference, to_reference
from equirgz.backbones.reference.convert import from_reference, refine_samples
from equirgz.backbones.reference.engines import load_engine

__all__ = ["create_reference", "from_reference", "load_engine", "refine_samples", "to_reference"]
