"""The ground of every stage: tables, archives, data directories, stamps, shards, errors."""
