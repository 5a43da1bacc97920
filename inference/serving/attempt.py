"""A batch through a model in which a bad row fails alone."""

from collections.abc import Callable, Sequence

from core.errors import BusyError, ModelError, UnavailableError
from inference.serving.batch_ticket import Answer, Row

# One answer, or the row's own error, for each row; an exception is about all of them.
Work = Callable[[Sequence[Row]], Sequence[Answer | Exception]]

MOST_FAILURES = 8  # in a row, of rows tried alone: then the model is at fault, not the rows


def attempt(work: Work[Row, Answer], rows: Sequence[Row]) -> list[Answer | Exception]:
    """The answers of `work` for `rows`. If `work` fails for all of them, each row is tried alone,
    and a row that fails has its error in place of an answer.

    Raises only what ends a thread (`BaseException`).
    """
    try:
        return _worked(work, rows)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of its row
        # A busy or unreachable model is no row's fault: asking row by row would make it worse.
        if len(rows) == 1 or isinstance(error, BusyError | UnavailableError):
            return [error] * len(rows)
    return _one_by_one(work, rows)


def _one_by_one(work: Work[Row, Answer], rows: Sequence[Row]) -> list[Answer | Exception]:
    """The answers for each row alone. After several failures in a row the other rows fail too."""
    answers: list[Answer | Exception] = []
    failures = 0
    for row in rows:
        if failures >= MOST_FAILURES:
            answers.append(answers[-1])
            continue
        try:
            answers += _worked(work, [row])
            failures = 0
        except Exception as error:  # noqa: BLE001 - as above
            answers.append(error)
            failures += 1
    return answers


def _worked(work: Work[Row, Answer], rows: Sequence[Row]) -> list[Answer | Exception]:
    """The answers of one call. Raises ModelError where there are not as many answers as rows."""
    answers = list(work(rows))
    if len(answers) != len(rows):
        raise ModelError(f"the model gave {len(answers)} answers for {len(rows)} texts")
    return answers
