"""Networks whose weights have a distribution, and what it says of them."""
