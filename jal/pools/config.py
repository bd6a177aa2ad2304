"""The `pool` part of a config: which features, and what tables call them."""

from pathlib import Path

from jal.errors import JalError
from jal.schema import DIGITS
from jal.settings.fields import Field

POOL_FIELDS: dict[str, Field] = {
    "pool.path": Field("", "an embedding store, an .npz with train_x, train_y, …, or digits"),
    "pool.name": Field("", "dataset name in tables; by default the file's"),
    "pool.test_fraction": Field(0.0, "held out of a store that has no test split"),
    "pool.backbone": Field("", "what made the features, for tables"),
}


def check_path(path: str | Path) -> None:
    """Raises JalError where a pool's path leads nowhere; what is in a bucket is seen when it is read."""
    if str(path) != DIGITS and "://" not in str(path) and not Path(path).expanduser().exists():
        raise nothing_at(path)


def nothing_at(path: str | Path) -> JalError:
    """What is said of such a path."""
    return JalError(
        f"there is no file {path}; a pool is an .npz file, an embedding store or {DIGITS!r}."
    )
