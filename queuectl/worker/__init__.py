"""The worker: keeper, supervisor and what they need."""
