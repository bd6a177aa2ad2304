"""The vision transformer in Flax: pure functions of parameters and images."""
