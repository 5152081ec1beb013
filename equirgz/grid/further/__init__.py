"""What a run measures only where its YAML asks for it (``evaluation.further``): rows like all others, so that every
table and figure of a grid shows them, with intervals over its seeds.
"""
