"""The same networks in escnn and e2cnn, and converters of weights in both directions.

Neither library is imported before it is asked for; both belong to the extra ``reference``, which
CONTRIBUTING.md installs without a compiler. Use these engines to check and to compare: their
layers, left in eval mode, ignore later changes of their weights, and D_N ones cannot be pickled.
Costs, ``to_plain``, saved encoders and audits are those of the native twin, which has equal weights.
"""

from equirgz.backbones.reference.build import create_reference, to_reference
from equirgz.backbones.reference.convert import from_reference, native_twin, refine_samples
from equirgz.backbones.reference.engines import load_engine

__all__ = ["create_reference", "from_reference", "load_engine", "native_twin", "refine_samples", "to_reference"]
