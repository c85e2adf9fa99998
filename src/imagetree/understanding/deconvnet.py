"""From a unit down to the pixels: the deconvnet, the gradient, the guided gradient.

All three are one backward pass and differ in what a ReLU lets through (Springenberg et al. 2015,
figure 1): unpooling with switches is the derivative of max pooling, filtering with the transposed
filters that of a convolution. So autograd does the work, with a rectifier of our own; no hook is
set, and the layers' own ReLUs, which work in place, are not run.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import torch

from imagetree.alexnet.layers import (
    Conv,
    FullyConnected,
    LocalResponseNorm,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.errors import TrainingError
from imagetree.understanding.activations import check_finite, check_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from imagetree.alexnet.layers import Architecture, Layer
    from imagetree.alexnet.network import AlexNet

_TINY = 1e-20
"""Its square is less than any float32 adds to a sum of squares and a constant."""


class Rule(StrEnum):
    """What a ReLU lets through of a signal R that comes down; f is what it got on the way up.

    GRADIENT: R where f > 0, the derivative of max(f, 0).
    DECONVNET: R where R > 0 (Zeiler and Fergus 2014, section 2.1).
    GUIDED: R where both are (Springenberg et al. 2015, figure 1).
    """

    GRADIENT = "gradient"
    DECONVNET = "deconvnet"
    GUIDED = "guided"


@dataclass(frozen=True)
class Projection:
    """The signal of one unit at its strongest place, brought down to the pixels.

    Args:
        layer: whose unit.
        unit: its number: of a map, or of a value of a fully connected layer.
        place: row and column in the map; (0, 0) for a fully connected layer.
        value: what the unit gave there.
        signal: float32 (3, H, W), for the network's input: pixels less their mean, over their
            standard deviation.
    """

    layer: str
    unit: int
    place: tuple[int, int]
    value: float
    signal: NDArray[np.float32]


@torch.enable_grad()
def project(
    network: AlexNet,
    x: torch.Tensor,
    layer: str,
    unit: int | None = None,
    *,
    rule: Rule = Rule.DECONVNET,
) -> Projection:
    """Bring the signal of one unit down to the pixels, from the place where it is strongest.

    A gradient begins with 1. The deconvnet begins with the unit's own value, all others being set
    to zero, and goes down so:

    - Max pooling puts each value back where its maximum was found. Where windows overlap, one place
      may get several; they are added up, as the transposed operation does.
    - A convolution and a fully connected layer are passed by their transposed filters, in their
      groups, padding and overhanging windows included; biases play no part.
    - Batch normalisation is, at the test, a scale and a shift that belong to the filters in front
      of it: its scale is theirs.
    - The source has response normalisation on the way up and says nothing of it on the way down.
      Here its denominators are kept, as the switches are: each value is divided by what it was
      divided by on the way up. Its derivative has terms besides that belong to no filter.
    - A hyperbolic tangent is passed by its slope; there is no rectification to be undone.

    Args:
        network: on the device of `x`; run in evaluation mode, otherwise left as it was.
        x: one image, float (1, 3, H, W), normalised; not written to.
        layer: whose unit.
        unit: its number; that with the greatest value of the layer if None.
        rule: what a ReLU lets through.

    Raises:
        TrainingError: there is no such layer or unit, or a value is no finite number.
    """
    image = x.detach().requires_grad_()
    values = outputs_with_gradient(network, image, [layer], rule)[layer][0]
    responses = values.flatten(1) if values.ndim == 3 else values[:, None]
    check_finite(layer, responses.detach().cpu().numpy())
    if unit is None:
        unit = int(responses.max(1).values.argmax())
    if not 0 <= unit < len(responses):
        raise TrainingError(
            f"{layer} has no unit {unit} (expected 0 to {len(responses) - 1})",
            hint=f"see its layers: imagetree alexnet table {network.architecture.name}",
        )
    at = int(responses[unit].argmax())
    response = responses[unit, at]
    value = response.detach()
    start = value if rule is Rule.DECONVNET else torch.ones_like(value)
    [signal] = torch.autograd.grad(response, image, start)
    place = divmod(at, values.shape[2]) if values.ndim == 3 else (0, 0)
    return Projection(layer, unit, place, float(value), signal[0].cpu().numpy())


def class_gradient(
    network: AlexNet, x: torch.Tensor, class_index: int, rule: Rule = Rule.GRADIENT
) -> NDArray[np.float32]:
    """The derivative of a class's logit by the input, plain or guided.

    Plain it is that of Simonyan et al. 2014, section 3; guided that of Springenberg et al. 2015.

    Args:
        network: see `project`.
        x: one image, float (1, 3, H, W), normalised; not written to.
        class_index: of the class.
        rule: what a ReLU lets through.

    Returns:
        float32 (3, H, W).

    Raises:
        TrainingError: there is no such class, or a logit is no finite number.
    """
    return project(network, x, network.architecture.layers[-1].name, class_index, rule=rule).signal


@torch.enable_grad()
def outputs_with_gradient(
    network: AlexNet, x: torch.Tensor, names: Sequence[str], rule: Rule = Rule.GRADIENT
) -> dict[str, torch.Tensor]:
    """What some layers give on for a batch, to be differentiated by `torch.autograd.grad`.

    As `activations.layer_outputs`, with a graph: none is copied, as nothing is written over.

    Args:
        network: on the device of `x`; run in evaluation mode and left in the mode it was in.
        x: float (N, 3, H, W), normalised; not written to.
        names: of layers, in any order.
        rule: what a ReLU lets through when a signal comes down.

    Returns:
        By name, in the order of the forward pass: (N, C, H, W), behind the first fully connected
        layer (N, units).

    Raises:
        TrainingError: the network has no layer of a name.
    """
    check_layers(network.architecture, names)
    outputs = dict[str, torch.Tensor]()
    with evaluating(network):
        for layer in network.architecture.layers:
            if len(outputs) == len(set(names)):
                break
            if isinstance(layer, FullyConnected) and x.ndim > 2:
                x = x.flatten(1)
            x = _given_on(layer, network.get_submodule(layer.name), x, rule)
            if layer.name in names:
                outputs[layer.name] = x
    return outputs


def rectified_layers(architecture: Architecture) -> tuple[str, ...]:
    """The activation behind each convolution, in the order of the forward pass.

    Where the source pools in front of the activation, as in `chm`, its maps are the pooled ones.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> rectified_layers(architecture_named("batch_norm"))
    ('relu1', 'relu2', 'relu3', 'relu4', 'relu5')
    """
    found, is_waiting = [], False
    for layer in architecture.layers:
        if isinstance(layer, Conv):
            is_waiting = True
        elif isinstance(layer, Relu | Tanh) and is_waiting:
            found.append(layer.name)
            is_waiting = False
    return tuple(found)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """A network in evaluation mode, and back in the mode that it was in."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def _given_on(layer: Layer, module: nn.Module, x: torch.Tensor, rule: Rule) -> torch.Tensor:
    """A layer's output, which a signal comes down through as the rule says."""
    if isinstance(layer, Relu):
        rectified: torch.Tensor = _Rectifier.apply(x, rule)  # type: ignore[no-untyped-call]
        return rectified
    if isinstance(layer, LocalResponseNorm | SameMapNorm) and rule is Rule.DECONVNET:
        return x * _scale(module, x.detach())
    output: torch.Tensor = module(x)
    return output


def _scale(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a response normalisation multiplies each value by, also where the value is zero."""
    replaced = torch.where(x.abs() < _TINY, _TINY, x)
    scale: torch.Tensor = norm(replaced) / replaced
    return scale


class _Rectifier(torch.autograd.Function):
    """max(x, 0), not in place, with a rule for the way down."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, rule: Rule) -> torch.Tensor:
        ctx.rule = rule
        if rule is not Rule.DECONVNET:
            ctx.save_for_backward(x > 0)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, signal: torch.Tensor) -> tuple[torch.Tensor, None]:
        if ctx.rule is not Rule.DECONVNET:
            [was_above] = ctx.saved_tensors
            signal = torch.where(was_above, signal, 0.0)
        return signal if ctx.rule is Rule.GRADIENT else signal.clamp(min=0), None
