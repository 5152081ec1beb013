"""Which of two numbers is smaller, for other sources, for other seeds, and for how many comparisons."""
