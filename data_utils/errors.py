"""What a user can mend: one line that says where, what was found and what to do."""

from collections.abc import Iterable

FEW = 10
"""Names that are listed rather than guessed among."""

NEAR = 0.7
"""How alike two names are, 0 to 1 by difflib, where one is taken for a slip of the other."""


class InputError(Exception):
    """A mistake in the user's files or options.

    The message is one line: where (file and line, option or utterance), what was found, what to do.
    Commands print it without a traceback and leave with exit code 2.
    """


def suggestion(name: str, known: Iterable[str]) -> str:
    """End of a message about an unknown name: the nearest one, or all where they are few.

    Args:
        name: as the user wrote it.
        known: what it may be; the dashes of options do not count as alike.
    """
    import difflib  # not for the runs without a mistake

    names = {item.lstrip("-"): item for item in sorted(known)}
    close = difflib.get_close_matches(name.lstrip("-"), names, n=1, cutoff=NEAR)
    if close:
        nearest = names[close[0]]
        return f"; did you mean {nearest if nearest.startswith('-') else repr(nearest)}?"
    return f"; known: {', '.join(names.values())}" if len(names) <= FEW else ""
