"""What a page needs of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from jal.labelling.advice import Advice
from jal.labelling.estimate import Estimate
from jal.labelling.insight import Moment
from jal.labelling.ledger import Ledger
from jal.labelling.material import Material
from jal.labelling.options import Options
from jal.labelling.pictures import Pictures

if TYPE_CHECKING:
    import pandas as pd


class Served(Protocol):
    """The part of `jal.labelling.session.Session` that pages use; its methods are described there."""

    options: Options
    material: Material
    pictures: Pictures

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""

    @property
    def ledger(self) -> Ledger:
        """Where the session stands."""

    def row(self, name: str) -> int | None:
        """The position of an image."""

    def labels(self) -> dict[str, str]:
        """Class names by id."""

    def open(self) -> list[str]:
        """The images that were asked and have no answer."""

    def tell(
        self,
        answers: Any,
        classes: Any = None,
        *,
        who: str = "",
        seconds: float | Mapping[str, float] | None = None,
    ) -> int:
        """Takes labels in."""

    def skip(self, ids: Any, *, who: str = "", seconds: float | None = None) -> int:
        """Sets images aside."""

    def unsure(self, ids: Any, *, who: str = "", seconds: float | None = None) -> int:
        """Sets images aside as ones that could not be told."""

    def undo(self, *, who: str | None = None) -> str | None:
        """Takes the latest answer back."""

    def take_back(self, ids: Sequence[str], *, who: str = "", last: bool = False) -> int:
        """Makes images open again."""

    def add_class(self, name: str, *, who: str = "") -> None:
        """One more class."""

    def rename_class(self, name: str, to: str, *, who: str = "") -> None:
        """Another name for a class."""

    def ask(self, k: int = 20) -> pd.DataFrame:
        """The next k images to label."""

    def batch(self) -> pd.DataFrame:
        """The images that are open."""

    def predictions(self, *, with_audits: bool = True) -> pd.DataFrame:
        """One row an image of the pool."""

    def suspicious(self, n: int = 20, *, folds: int = 5) -> pd.DataFrame:
        """The labels that are doubted most."""

    def estimate(self) -> Estimate | None:
        """The accuracy."""

    def history(self) -> list[Moment]:
        """The accuracy of every round."""

    def advice(self) -> Advice | None:
        """What more labels would bring."""
