"""The probe against a plain NumPy training loop, hand-computed steps and identities."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jal.core.spec import ProbeSpec
from jal.core.types import Hyper, Probe
from jal.learners import probe
from jal.ops.dropout import effective_rate, keep_mask

ROWS, DIMENSION, CLASSES = 40, 10, 3
HYPER = Hyper(jnp.float32(1e-2), jnp.float32(1e-2))
SHORT = ProbeSpec(dropout=0.75, max_epochs=60, patience=6, min_delta=1e-3)
fit = jax.jit(probe.fit, static_argnames=("spec", "num_classes"))
keep = jax.jit(keep_mask, static_argnums=(1, 2))
logits, embed = jax.jit(probe.logits), jax.jit(probe.embed)


def data(seed: int = 0, rows: int = ROWS, padded: int = 0) -> tuple:
    """Features, labels and the valid mask; padding is garbage that must not matter."""
    random = np.random.default_rng(seed)
    size = max(rows, padded)
    labels = random.integers(0, CLASSES, size).astype(np.int32)
    features = random.normal(size=(size, DIMENSION)) + 1.5 * np.eye(CLASSES, DIMENSION)[labels]
    features[rows:] *= 50
    return features.astype(np.float32), labels, np.arange(size) < rows


class EagerProbe:
    """The recipe in float64 NumPy, one plain loop; only the random draws come from jal."""

    def __init__(self, key: jax.Array, hyper: Hyper, spec: ProbeSpec) -> None:
        self.spec = spec
        self.lr, self.decay = float(hyper.learning_rate), float(hyper.weight_decay)
        weight_key, self.loop_key = jax.random.split(key)
        start = probe.initial_weights(weight_key, DIMENSION, CLASSES)
        self.weights = {name: np.asarray(value, np.float64) for name, value in start.items()}
        self.moments = {name: [np.zeros_like(w), np.zeros_like(w)] for name, w in start.items()}
        self.steps = 0
        self.mean, self.variance = np.zeros(DIMENSION), np.ones(DIMENSION)

    def step(self, key: jax.Array, rows: np.ndarray, labels: np.ndarray, padded: int) -> float:
        """One AdamW step; returns the loss before it."""
        mask = np.asarray(keep(key, self.spec.dropout, (padded, DIMENSION)))[: len(rows)]
        if self.spec.dropout == 0:
            mask = np.ones_like(rows, bool)
        rows = np.where(mask, rows / (1 - effective_rate(self.spec.dropout)), 0)
        mean, variance = rows.mean(axis=0), rows.var(axis=0)
        inputs = (rows - mean) / np.sqrt(variance + 1e-5)
        scores = inputs @ self.weights["kernel"].T + self.weights["bias"]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        residual = powers / powers.sum(axis=1, keepdims=True)
        loss = -np.log(residual[np.arange(len(rows)), labels]).mean()
        residual[np.arange(len(rows)), labels] -= 1
        residual /= len(rows)
        gradients = {"kernel": residual.T @ inputs, "bias": residual.sum(axis=0)}
        self.steps += 1
        for name, gradient in gradients.items():
            first, second = self.moments[name]
            first[:] = 0.9 * first + 0.1 * gradient
            second[:] = 0.999 * second + 0.001 * gradient**2
            direction = first / (1 - 0.9**self.steps)
            direction = direction / (np.sqrt(second / (1 - 0.999**self.steps)) + 1e-8)
            weight = self.weights[name]
            self.weights[name] = weight - self.lr * (direction + self.decay * weight)
        self.mean = 0.9 * self.mean + 0.1 * mean
        if len(rows) > 1:
            self.variance = 0.9 * self.variance + 0.1 * rows.var(axis=0, ddof=1)
        return loss

    def epoch(self, number: int, features: np.ndarray, labels: np.ndarray, valid: int) -> float:
        key, size = jax.random.fold_in(self.loop_key, number), self.spec.batch_size
        batches = -(-len(features) // size)
        if batches == 1:
            return self.step(key, features[:valid], labels[:valid], len(features))
        key, shuffle_key = jax.random.split(key)
        priority = np.array(jax.random.uniform(shuffle_key, (len(features),)))
        order = np.argsort(priority[:valid])
        keys = jax.random.split(key, batches)
        losses = []
        for start in range(0, valid, size):
            rows = order[start : start + size]
            loss = self.step(keys[start // size], features[rows], labels[rows], size)
            losses += [loss] * len(rows)
        return float(np.mean(losses))

    def train(self, features: np.ndarray, labels: np.ndarray, valid: int) -> tuple[dict, int]:
        """What stood after the epoch of lowest loss, and how many epochs ran."""
        features = features.astype(np.float64)
        best_loss = reference = np.inf
        wait = epoch = 0
        best: dict = {}
        while epoch < self.spec.max_epochs and wait < self.spec.patience:
            loss = self.epoch(epoch, features, labels, valid)
            if loss < best_loss:
                best_loss = loss
                best = self.weights | {"mean": self.mean, "variance": self.variance}
            if loss < reference - self.spec.min_delta:
                reference, wait = loss, 0
            else:
                wait += 1
            epoch += 1
        return best, epoch


def assert_equals_eager(fitted: Probe, best: dict, tolerance: float = 2e-4) -> None:
    np.testing.assert_allclose(fitted.kernel, best["kernel"].T, atol=tolerance)
    np.testing.assert_allclose(fitted.bias, best["bias"], atol=tolerance)
    np.testing.assert_allclose(fitted.mean, best["mean"], atol=tolerance)
    np.testing.assert_allclose(fitted.variance, best["variance"], rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("seed", range(4))
def test_full_batch_training_equals_the_eager_loop(seed: int) -> None:
    features, labels, valid = data(seed)
    key = jax.random.key(seed)
    fitted, epochs = fit(key, features, labels, valid, HYPER, SHORT, CLASSES)
    best, expected_epochs = EagerProbe(key, HYPER, SHORT).train(features, labels, ROWS)
    assert int(epochs) == expected_epochs
    assert_equals_eager(fitted, best)


@pytest.mark.parametrize(
    ("rows", "last"), [(33, "a last batch of one row, an empty batch"), (40, "a part of a batch")]
)
def test_minibatch_training_equals_the_eager_loop(rows: int, last: str) -> None:
    spec = replace(SHORT, batch_size=16, max_epochs=12)
    features, labels, valid = data(5, rows=rows, padded=64)
    key = jax.random.key(5)
    fitted, epochs = fit(key, features, labels, valid, HYPER, spec, CLASSES)
    best, expected_epochs = EagerProbe(key, HYPER, spec).train(features, labels, rows)
    assert int(epochs) == expected_epochs, last
    assert_equals_eager(fitted, best)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fitted))


def test_one_hand_computed_step() -> None:
    # Two rows ±1 in one dimension, labels 0 and 1, no dropout: the batch norm gives ±a with
    # a = 1/sqrt(1 + 1e-5), and the first Adam step moves each weight by lr against its gradient's sign.
    spec = ProbeSpec(dropout=0.0, max_epochs=1)
    hyper = Hyper(jnp.float32(0.1), jnp.float32(0.5))
    key = jax.random.key(0)
    start = probe.initial_weights(jax.random.split(key)[0], 1, 2)
    kernel, bias = (np.asarray(start[name], np.float64) for name in ("kernel", "bias"))
    inputs = np.array([1.0, -1.0]) / np.sqrt(1 + 1e-5)
    share = 1 / (1 + np.exp(-((kernel[0, 0] - kernel[1, 0]) * inputs + bias[0] - bias[1])))
    residual = (share - [1, 0]) / 2  # of class 0; class 1 has the opposite sign
    kernel_step = np.sign((residual * inputs).sum())
    bias_step = np.sign(residual.sum())
    fitted, epochs = fit(
        key,
        np.array([[1.0], [-1.0]], np.float32),
        np.array([0, 1]),
        np.ones(2, bool),
        hyper,
        spec,
        2,
    )
    assert int(epochs) == 1
    signs = np.array([1.0, -1.0])
    np.testing.assert_allclose(
        fitted.kernel[0], kernel[:, 0] - 0.1 * (kernel_step * signs + 0.5 * kernel[:, 0]), atol=1e-5
    )
    np.testing.assert_allclose(
        fitted.bias, bias - 0.1 * (bias_step * signs + 0.5 * bias), atol=1e-5
    )
    np.testing.assert_allclose(fitted.mean, [0.0], atol=1e-7)
    np.testing.assert_allclose(fitted.variance, [0.9 * 1 + 0.1 * 2], rtol=1e-6)  # unbiased: 2


def test_patience_and_the_epoch_that_is_kept() -> None:
    # Nothing moves but the running statistics, so the loss is the same in every epoch: the first is
    # an improvement on infinity, the next `patience` are not, and the first epoch's state is kept.
    spec = ProbeSpec(dropout=0.0, patience=7)
    still = Hyper(jnp.float32(0), jnp.float32(0))
    features, labels, valid = data(1)
    fitted, epochs = fit(jax.random.key(1), features, labels, valid, still, spec, CLASSES)
    assert int(epochs) == 8
    np.testing.assert_allclose(fitted.mean, 0.1 * features.mean(axis=0), rtol=1e-4, atol=1e-6)


def test_an_epoch_of_lower_loss_is_kept_even_below_min_delta() -> None:
    # With an enormous min_delta only the first epoch counts as progress, yet the best is the last.
    spec = ProbeSpec(dropout=0.0, patience=5, min_delta=100.0)
    features, labels, valid = data(2)
    key = jax.random.key(2)
    fitted, epochs = fit(key, features, labels, valid, HYPER, spec, CLASSES)
    longer, _ = fit(
        key, features, labels, valid, HYPER, replace(spec, max_epochs=6, min_delta=0.0), CLASSES
    )
    assert int(epochs) == 6
    np.testing.assert_allclose(fitted.kernel, longer.kernel, atol=1e-6)
    np.testing.assert_allclose(fitted.mean, longer.mean, atol=1e-6)


def test_max_epochs() -> None:
    features, labels, valid = data(3)
    spec = ProbeSpec(max_epochs=5, min_delta=0.0)
    assert int(fit(jax.random.key(0), features, labels, valid, HYPER, spec, CLASSES)[1]) == 5


def test_padding_changes_nothing() -> None:
    key = jax.random.key(4)
    features, labels, valid = data(4, padded=64)
    alone, epochs = fit(key, features[:ROWS], labels[:ROWS], valid[:ROWS], HYPER, SHORT, CLASSES)
    padded, padded_epochs = fit(key, features, labels, valid, HYPER, SHORT, CLASSES)
    assert int(epochs) == int(padded_epochs)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(padded), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_initial_weights_are_uniform_in_their_bounds() -> None:
    dimension, classes = 64, 500
    start = probe.initial_weights(jax.random.key(6), dimension, classes)
    for name, shape in (("kernel", (classes, dimension)), ("bias", (classes,))):
        values = np.asarray(start[name])
        assert values.shape == shape
        assert np.abs(values).max() <= 1 / 8
        assert np.abs(values).max() > 0.12
        assert values.std() == pytest.approx(1 / 8 / np.sqrt(3), rel=0.1)
    assert not np.isin(np.asarray(start["bias"]), np.asarray(start["kernel"])).all()


def test_keys_matter() -> None:
    features, labels, valid = data(7)
    one, two = (
        fit(jax.random.key(seed), features, labels, valid, HYPER, SHORT, CLASSES)[0]
        for seed in (1, 2)
    )
    assert not np.allclose(one.kernel, two.kernel, atol=1e-3)


def test_learning_rates_ride_an_axis() -> None:
    features, labels, valid = data(8)
    hyper = Hyper(jnp.array([1e-3, 1e-2]), jnp.array([0.0, 1e-1]))
    key = jax.random.key(8)
    mapped, epochs = jax.jit(
        jax.vmap(lambda h: probe.fit(key, features, labels, valid, h, SHORT, CLASSES))
    )(hyper)
    for position in range(2):
        one = jax.tree.map(lambda leaf, at=position: leaf[at], hyper)
        alone, alone_epochs = fit(key, features, labels, valid, one, SHORT, CLASSES)
        assert int(epochs[position]) == int(alone_epochs)
        np.testing.assert_allclose(mapped.kernel[position], alone.kernel, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_features_are_computed_in_float32(dtype: jnp.dtype) -> None:
    features, labels, valid = data(9)
    key, stored = jax.random.key(9), jnp.asarray(features, dtype)
    half, _ = fit(key, stored, labels, valid, HYPER, SHORT, CLASSES)
    full, _ = fit(key, stored.astype(jnp.float32), labels, valid, HYPER, SHORT, CLASSES)
    np.testing.assert_allclose(half.kernel, full.kernel, atol=1e-5)
    assert logits(half, stored).dtype == jnp.float32


def trained(seed: int = 0) -> tuple[Probe, np.ndarray]:
    features, labels, valid = data(seed)
    return fit(jax.random.key(seed), features, labels, valid, HYPER, SHORT, CLASSES)[0], features


def test_learns_separable_classes() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(ROWS) % CLASSES
    features = 8 * np.eye(CLASSES, DIMENSION)[labels] + random.normal(size=(ROWS, DIMENSION))
    fitted, _ = fit(
        jax.random.key(0), features.astype(np.float32), labels, np.ones(ROWS, bool), HYPER,
        ProbeSpec(dropout=0.0), CLASSES,
    )  # fmt: skip
    assert (np.argmax(logits(fitted, features), axis=1) == labels).all()


def test_folded_equals_unfolded() -> None:
    head, features = trained(10)
    embedded = (features.astype(np.float64) - np.asarray(head.mean)) / np.sqrt(
        np.asarray(head.variance, np.float64) + 1e-5
    )
    expected = embedded @ np.asarray(head.kernel, np.float64) + np.asarray(head.bias)
    np.testing.assert_allclose(embed(head, features), embedded, atol=1e-5)
    np.testing.assert_allclose(logits(head, features), expected, atol=1e-4)
    kernel, bias = jax.jit(probe.fold)(head)
    np.testing.assert_allclose(
        features @ np.asarray(kernel) + np.asarray(bias), expected, atol=1e-4
    )


@pytest.mark.parametrize("rate", [0.75, 0.3])
def test_dropout_logits_are_the_logits_of_dropped_inputs(rate: float) -> None:
    head, features = trained(11)
    head, key = replace(head, dropout=rate), jax.random.key(11)
    kept = np.asarray(keep(key, rate, features.shape))
    for rescale, scale in ((True, 1 / (1 - effective_rate(rate))), (False, 1.0)):
        dropped = np.where(kept, features * scale, 0).astype(np.float32)
        np.testing.assert_allclose(
            probe.dropout_logits(key, head, features, rescale=rescale),
            logits(head, dropped),
            atol=1e-4,
        )


def test_dropout_logits_average_to_the_logits() -> None:
    head, features = trained(12)
    draws = 4000
    keys = jax.random.split(jax.random.key(12), draws)
    drawn = np.asarray(
        jax.jit(jax.vmap(lambda key: probe.dropout_logits(key, head, features[:6])))(keys)
    )
    error = drawn.std(axis=0) / np.sqrt(draws)
    difference = np.abs(drawn.mean(axis=0) - np.asarray(logits(head, features[:6])))
    assert (difference < 5 * error).all()
    assert (error > 0).all()


def test_empty_probe_predicts_nothing() -> None:
    head = probe.empty(DIMENSION, CLASSES, 0.75)
    np.testing.assert_array_equal(logits(head, np.ones((4, DIMENSION), np.float32)), 0)
    assert head.dropout == 0.75
