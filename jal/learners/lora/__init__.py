"""Adapters inside the vision transformer, trained with a linear head (PEAL)."""
