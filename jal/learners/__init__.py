"""What is trained each round: probes on features, and what may stand before them."""
