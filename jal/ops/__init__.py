"""Array primitives that know nothing of active learning."""
