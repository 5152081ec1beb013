"""How far two sets of sources are apart, in features or in class shares."""
