"""Every figure of a results folder, in one style."""
