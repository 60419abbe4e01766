"""Stage 6, train. Importing the package costs nothing: torch comes in with ``train.loop``."""
