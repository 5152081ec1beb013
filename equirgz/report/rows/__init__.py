"""A results folder as tables of rows and predictions, and which of them are compared."""
