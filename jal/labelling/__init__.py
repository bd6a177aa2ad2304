"""A person in the loop, never lost: ask, tell, predict."""
