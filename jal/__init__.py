"""jal: active learning on vision foundation models, in JAX."""
