"""The one exception that means: the user's input is wrong, and here is what would be right."""


class JalError(ValueError):
    """A mistake in the user's input, said in one sentence; the command line prints it and exits with 2."""
