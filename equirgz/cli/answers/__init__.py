"""Commands about one's own images: answers, look-alikes, pictures, and what to look at next."""
