"""Embeddings on disk or in a bucket: a manifest, chunked arrays, records."""
