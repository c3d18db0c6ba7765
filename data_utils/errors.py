"""What a user can mend: one line that says where, what was found and what to do."""

from collections.abc import Iterable

FEW = 10
"""Names that are listed rather than guessed among."""


class InputError(Exception):
    """A mistake in the user's files or options.

    The message is one line: where (file and line, option or utterance), what was found, what to do.
    Commands print it without a traceback and leave with exit code 2.
    """


def suggestion(name: str, known: Iterable[str]) -> str:
    """End of a message about an unknown name: the nearest one, or all where they are few."""
    import difflib  # not for the runs without a mistake

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) <= FEW else ""
