"""The nouns of active learning: data as pytrees, specs and metrics."""
