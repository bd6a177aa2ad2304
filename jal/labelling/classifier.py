"""What a session ends with: a classifier of features or images, an estimator as scikit-learn knows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import unique_labels

from jal.errors import JalError
from jal.schema import OBJECT, TEXT, field, list_of, read_json, whole, write_atomically

WEIGHTS, DESCRIPTION = "classifier.safetensors", "classifier.json"
FORMAT = "jal classifier, version 1"
_ADAPTER = ("mix", "down", "down_bias", "up", "up_bias")


class Classifier(ClassifierMixin, BaseEstimator):
    """A probe on features, by default the linear one: logits = x·kernel + bias, the batch norm folded in.

    One that a session trained also knows which model makes the features, and so predicts images. `fit` trains
    another by the same recipe (Gupte et al., TMLR 2024).

    Args:
      lr, weight_decay, dropout, max_epochs, patience: as `jal.ProbeSpec` has them.
      kind: likewise: "linear", "residual", "ridge", "logistic" or "prototype".
      seed: of the fit.

    Attributes:
      classes_: names [C], in the order of the probabilities' columns.
      arrays_: kernel f32[D, C], bias f32[C], and the residual probe's adapter: for torch, as
        `{name: torch.from_numpy(array) for name, array in classifier.arrays_.items()}`.
      about_: what made the features and the labels; {} where `fit` was given arrays.
      n_features_in_: D.
    """

    def __init__(
        self,
        *,
        lr: float = 1e-2,
        weight_decay: float | None = None,
        dropout: float = 0.75,
        max_epochs: int = 400,
        patience: int = 20,
        kind: str = "linear",
        seed: int = 0,
    ) -> None:
        self.lr, self.weight_decay, self.dropout = lr, weight_decay, dropout
        self.max_epochs, self.patience, self.kind, self.seed = max_epochs, patience, kind, seed

    def fit(self, X: Any, y: Any) -> Classifier:
        """Trains on features f[R, D] and their classes [R]; returns itself.

        Raises:
          JalError: on features that are not finite, or as many labels as there are not rows.
        """
        import jax
        import jax.numpy as jnp

        from jal.core.spec import ProbeSpec, bucket
        from jal.core.types import Hyper
        from jal.learners.fitting import fit
        from jal.pools.checks import check_features
        from jal.settings.process import pinned

        features, labels = check_features("X", X), np.asarray(y).reshape(-1)
        if len(labels) != len(features):
            raise JalError(f"y has {len(labels)} labels, but X has {len(features)} rows.")
        self.classes_ = unique_labels(labels)
        numbers = np.searchsorted(self.classes_, labels).astype(np.int32)
        names = ("lr", "weight_decay", "dropout", "max_epochs", "patience", "kind")
        spec = ProbeSpec(**{name: getattr(self, name) for name in names})
        size = bucket(len(features))
        room = size - len(features)
        with pinned():
            head, _ = jax.jit(fit, static_argnums=(5, 6))(
                jax.random.key(self.seed),
                np.pad(features, ((0, room), (0, 0))),
                np.pad(numbers, (0, room)),
                np.arange(size) < len(features),
                Hyper(jnp.float32(spec.lr), jnp.float32(spec.weight_decay)),
                spec,
                max(len(self.classes_), 2),
            )
        self.arrays_ = arrays_of(head)
        self.about_: dict[str, Any] = {}
        self.n_features_in_ = features.shape[1]
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """f32[R, C] logits of features f[R, D]."""
        arrays = self._fitted()
        return _logits(arrays, self._checked(X))[:, : len(self.classes_)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """f32[R, C] probabilities of features f[R, D]; columns as `classes_`."""
        logits = self.decision_function(X)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Class names [R] of features f[R, D]."""
        best = self.decision_function(X).argmax(axis=1)
        found: np.ndarray = self.classes_[best]
        return found

    def predict_images(self, images: Any, *, store: str | Path = "", progress: Any = None) -> Any:
        """What images are: a frame of id, predicted, probability and p(CLASS) of each class.

        Args:
          images: a folder, .csv or .npz, as `jal.embed` takes them.
          store: where their features are kept, so that another call finds them; by default nowhere.
          progress: as `jal.embed` takes it.

        Raises:
          JalError: the classifier does not know which model made its features, or as `jal.embed` does.
        """
        from jal.labelling.newcomers import predict_images

        self._fitted()
        classes = [str(name) for name in self.classes_]
        return predict_images(
            self.about_, classes, self.predict_proba, images, str(store), progress
        )

    def save(self, folder: str | Path) -> Path:
        """Writes classifier.safetensors and classifier.json; returns the folder."""
        from safetensors.numpy import save

        arrays, folder = self._fitted(), Path(folder).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / WEIGHTS, save(dict(arrays)))
            values = {
                "format": FORMAT,
                "classes": [str(name) for name in self.classes_],
                "dimension": self.n_features_in_,
                "probe": self.get_params(),
                "about": self.about_,
            }
            content = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
            write_atomically(folder / DESCRIPTION, content.encode())
        except OSError as error:
            raise JalError(f"{folder} cannot be written ({error.strerror}).") from error
        return folder

    def _fitted(self) -> Mapping[str, np.ndarray]:
        if not hasattr(self, "arrays_"):
            raise NotFittedError("this classifier is not trained; call fit, or load one.")
        return self.arrays_

    def _checked(self, X: Any) -> np.ndarray:
        from jal.pools.checks import check_features

        features = check_features("X", X)
        if features.shape[1] != self.n_features_in_:
            raise JalError(
                f"X has {features.shape[1]} columns, but the classifier reads {self.n_features_in_} "
                "features."
            )
        return features.astype(np.float32)


def arrays_of(head: Any) -> dict[str, np.ndarray]:
    """A probe's arrays, its batch norm folded in."""
    from jal.learners.probe import fold

    kernel, bias = fold(head)
    adapter = (
        {} if head.adapter is None else {name: getattr(head.adapter, name) for name in _ADAPTER}
    )
    found = {"kernel": kernel, "bias": bias} | adapter
    return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}


def make_classifier(
    head: Any, classes: Sequence[str], parameters: Mapping[str, Any], about: Mapping[str, Any]
) -> Classifier:
    """The classifier of a probe that a session trained."""
    made = Classifier(**parameters)
    made.arrays_ = arrays_of(head)
    made.classes_ = np.array(classes, object)
    made.about_ = dict(about)
    made.n_features_in_ = made.arrays_["kernel"].shape[0]
    return made


def load_classifier(folder: str | Path) -> Classifier:
    """The classifier that `save` wrote.

    Raises:
      JalError: there is none, or it is damaged; names file and field.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(folder).expanduser()
    where = folder / DESCRIPTION
    values = read_json(where, "what a classifier is", f"{folder} holds no {DESCRIPTION}.")
    if values.get("format") != FORMAT:
        raise JalError(f"{where} is of format {values.get('format')!r}, not {FORMAT!r}.")
    classes = field(values, "classes", list_of(TEXT), where)
    dimension = field(values, "dimension", whole(1), where)
    parameters = field(values, "probe", OBJECT, where)
    known = Classifier().get_params()
    kinds = {name: type(value) for name, value in known.items()} | {"weight_decay": float}
    wrong = [
        name
        for name, value in parameters.items()
        if type(value) is not kinds.get(name)
        and not (name == "weight_decay" and value is None)
        and (kinds.get(name), type(value)) != (float, int)  # lr=1 is as good as lr=1.0
    ]
    if wrong:
        raise JalError(
            f"{where}: probe.{wrong[0]} is {parameters[wrong[0]]!r}, which it cannot be."
        )
    try:
        arrays = load((folder / WEIGHTS).read_bytes())
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise JalError(f"{folder / WEIGHTS} cannot be read ({error}).") from error
    shape = (dimension, max(len(classes), 2))
    if getattr(arrays.get("kernel"), "shape", None) != shape or (
        getattr(arrays.get("bias"), "shape", None) != shape[1:]
    ):
        raise JalError(f"{folder / WEIGHTS}: kernel must be of shape {shape}, bias of {shape[1:]}.")
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise JalError(f"{folder / WEIGHTS}: {broken[0]} has values that are not finite.")
    made = Classifier(**parameters)
    made.arrays_, made.classes_ = arrays, np.array(classes, object)
    made.about_, made.n_features_in_ = field(values, "about", OBJECT, where), dimension
    return made


def _logits(arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    if "mix" in arrays:
        from jal.core.types import Adapter
        from jal.learners.residual import adapt

        adapter = Adapter(**{name: arrays[name] for name in _ADAPTER})  # type: ignore[arg-type]
        rows = np.asarray(adapt(adapter, rows))  # type: ignore[arg-type]
    return rows @ arrays["kernel"] + arrays["bias"]
