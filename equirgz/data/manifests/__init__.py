"""Label sets shipped as files; read them with :func:`equirgz.data.label_sets.load_label_set`."""
