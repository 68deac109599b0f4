"""What an answer costs, row by row: so weights, slices and doubts need no loss of their own.

The one idea: every loss gives one number per row and nothing is averaged here. The loop multiplies
by the rows' weights and adds up; it also keeps the numbers, which tell hard and wrong rows.
"""

from __future__ import annotations

from typing import Any

LOG_OF_ZERO = -4.0
"""What the reverse cross-entropy takes log(0) of a class that is not the label to be (A)."""


def row_losses(logits: Any, targets: Any, *, loss: str, strength: float | None) -> Any:
    """Give the loss of each row.

    Args:
        logits: Shape (n, k); of tokens (n, t, k).
        targets: Class per row, shape (n,), 0..k-1; or 1 per label that holds, shape (n, k), float;
            or class per token, shape (n, t), -100 where none counts.
        loss: cross-entropy, smoothed, focal, gce or sce.
        strength: Share of smoothing; gamma of focal; q of gce; weight of the plain cross-entropy
            beside the reverse one in sce. None for cross-entropy.

    Returns:
        Shape (n,), float32: of several labels the sum over them, of tokens the mean.

    Source: smoothed: Szegedy et al. 2016, Rethinking the Inception Architecture; focal: Lin et al.
        2017, Focal Loss for Dense Object Detection; gce: Zhang and Sabuncu 2018, Generalized Cross
        Entropy Loss; sce: Wang et al. 2019, Symmetric Cross Entropy (A = -4).
    """
    import torch

    if targets.ndim > 1:
        return _several(logits, targets)
    cross_entropy = torch.nn.functional.cross_entropy
    if loss == "cross-entropy":
        return cross_entropy(logits, targets, reduction="none")
    if strength is None:
        raise ValueError(f"loss {loss} needs a strength")
    if loss == "smoothed":
        return cross_entropy(logits, targets, reduction="none", label_smoothing=strength)
    plain = cross_entropy(logits, targets, reduction="none")
    given = torch.exp(-plain)  # probability of the label
    if loss == "focal":
        return (1.0 - given) ** strength * plain
    if loss == "gce":
        # exp(-q x loss) and not p ** q: its slope is finite where p underflows to 0.
        return (1.0 - torch.exp(-strength * plain)) / strength
    return strength * plain - LOG_OF_ZERO * (1.0 - given)  # sce


def _several(logits: Any, targets: Any) -> Any:
    import torch

    if targets.is_floating_point():
        binary = torch.nn.functional.binary_cross_entropy_with_logits
        return binary(logits, targets, reduction="none").sum(dim=1)
    cross_entropy = torch.nn.functional.cross_entropy
    each = cross_entropy(logits.transpose(1, 2), targets, reduction="none")  # 0 where ignored
    return each.sum(dim=1) / (targets >= 0).sum(dim=1).clamp(min=1)


def class_weights(targets: Any, weights: Any, *, kind: str) -> Any:
    """Give the rows' weights times their class's, shape (n,); balanced classes weigh the same.

    Args:
        targets: Class per row, shape (n,), each class at least once.
        weights: Weight per row, shape (n,), 0 or more.
        kind: none or balanced.

    Source: King and Zeng 2001, Logistic Regression in Rare Events Data (n / (k n_c)).
    """
    import numpy as np

    if kind == "none":
        return weights
    mass = np.bincount(targets, weights=weights)
    held = mass > 0
    lift = np.divide(mass.sum() / held.sum(), mass, out=np.zeros_like(mass), where=held)
    return (weights * lift[targets]).astype(weights.dtype)
