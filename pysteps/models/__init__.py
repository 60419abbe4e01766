"""Networks that turn frames into x-vectors: encoder, pooling, projector.

Importing the package costs nothing: torch comes in with ``models.model``, so the driver can read
``models.options`` alone.
"""
