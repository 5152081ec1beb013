"""Label sets shipped as files; read them with :func:`equirgz.data.splits.label_sets.load_label_set`."""
