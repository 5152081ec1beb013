"""The registered architectures; :data:`equirgz.backbones.BACKBONES` imports each file when asked for a name."""
