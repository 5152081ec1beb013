"""What an embedding holds beside what is already known of its sources: a flow, and probes of what is left."""
