"""The driver's room, on top of all stages: options, the resolved run, what is fresh, what would run."""
