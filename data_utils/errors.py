"""What a user can mend: one line that says where, what was found and what to do."""


class InputError(Exception):
    """A mistake in the user's files or options.

    The message is one line: where (file and line, option or utterance), what was found, what to do.
    Commands print it without a traceback and leave with exit code 2.
    """
