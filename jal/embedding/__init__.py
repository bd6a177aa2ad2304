"""Images to an embedding store."""
