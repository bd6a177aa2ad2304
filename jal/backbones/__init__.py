"""Vision transformers in Flax, loaded from Hugging Face files."""
