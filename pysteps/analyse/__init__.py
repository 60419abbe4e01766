"""What a network listens to: relevance maps over time and frequency, and how faithful they are."""
