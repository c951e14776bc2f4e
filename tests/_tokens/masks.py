"""Everything that a manager shows and says, as text in which to look for secrets."""

import logging


def told_by(error):
    """Answer what an error says, and what a debugger would show of where it was."""
    texts = [str(error), repr(error), repr(vars(error)), repr(error.__context__)]
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        # The front door's frame holds what the caller itself passed in.
        if "persona_share/_" in frame.f_code.co_filename:
            texts.append(repr(frame.f_locals))
        traceback = traceback.tb_next
    return " ".join(texts)


def shown_by(manager):
    """Answer how a manager and what it holds are printed."""
    return " ".join(map(repr, (manager, manager.tokens(), manager.metrics())))


class LogKeeper(logging.Handler):
    """Keeps the text of every log record for a watch."""

    def __init__(self, watch):
        super().__init__()
        self._watch = watch

    def emit(self, record):
        """Keep one record as its text."""
        self._watch.logged.append(record.getMessage())
