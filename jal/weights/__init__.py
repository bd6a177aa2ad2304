"""Hugging Face files to parameters and preprocessing, and adapters back to files."""
