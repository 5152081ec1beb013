"""Labels in one survey, none in another: features whose distributions agree."""
