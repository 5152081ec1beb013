"""The encoders that are shipped: trained, measured, described."""
