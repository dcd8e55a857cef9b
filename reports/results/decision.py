"""What a result says of a decision; see `analysis.decisions.regret`, which this is the words of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from analysis.decisions.regret import WORSE
from analysis.statistics import answers
from analysis.statistics.answers import Kind
from reports.results.damage import DamagedError
from reports.results.metric import Metric

if TYPE_CHECKING:
    from analysis.decisions.regret import Decision as Found

Answer = Literal["worse", "same", "cannot tell", "not judged"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One kind of decision by one arm's profile; regret in parts of the best choice's worth."""

    chosen: Annotated[str, "what the choice takes, or why there is nothing to decide"]
    best: Annotated[float | None, "part of all worth that the best choice catches"]
    regret: Metric
    bias: Metric
    sampling: Metric
    worse: Metric
    effective_samples: Metric
    samples: Metric
    margin: float
    answer: Answer
    words: str
    why: Annotated[str, "what makes it worse, if it is"]

    def __post_init__(self) -> None:
        if (self.best is None) != (self.regret.mean is None):
            raise DamagedError("is there if and only if something can be decided", "regret.mean")

    @property
    def cell(self) -> str:
        """The answer for a table, with its size."""
        if self.answer == "not judged":
            return "reference" if self.regret.mean is not None else "nothing to decide"
        worse = self.worse
        short = answers.answer(worse.mean, worse.ci95, self.margin, n=worse.n, terms=WORSE).cell()
        return f"{short}: {self.why}" if self.why else short


def of_decision(found: Found) -> Decision:
    """As `result.json` has it."""
    answer, words = _ANSWERS[found.answer.kind], found.answer.words()
    if found.unjudged:
        answer, words = "not judged", found.unjudged
    return Decision(
        chosen=found.chosen,
        best=found.best,
        regret=found.regret,
        bias=found.bias,
        sampling=found.sampling,
        worse=found.worse,
        effective_samples=found.effective_samples,
        samples=found.samples,
        margin=found.answer.margin,
        answer=answer,
        words=words,
        why=found.why,
    )


_ANSWERS: dict[Kind, Answer] = {
    Kind.SKEWED: "worse",
    Kind.SAME: "same",
    Kind.OPEN: "cannot tell",
    Kind.SHORT: "cannot tell",
}
