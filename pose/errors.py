"""Errors that are the user's to mend."""


class UserError(Exception):
    """A mistake in what the user gave.

    The message is one line: what was given, what was expected, what to type next.
    The command line prints it and exits with code 2; every other exception is a bug
    and keeps its traceback.
    """


class Unsupported(Exception):
    """This machine or library cannot do what a cell asks for; the message is the reason."""
