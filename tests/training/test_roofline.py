"""The limit: the published operations of the network, and a rate that is a rate."""

from __future__ import annotations

import torch

from imagetree.alexnet.architectures import architecture_named
from imagetree.training.roofline import operations_per_image, product_rate


def test_smaller_images_cost_the_convolutions_less() -> None:
    """The fully connected layers see the same grid: 58.6 million weights, thrice, twice."""
    network = architecture_named("single_gpu")
    large, small = (
        operations_per_image(network, 1000, input_size=227, size=size) for size in (227, 131)
    )
    dense = 6 * (9216 * 4096 + 4096 * 4096 + 4096 * 1000)
    assert large - dense > 2 * (small - dense) > 0


def test_first_layer_needs_no_gradient_of_its_input() -> None:
    """conv1: 55 x 55 x 96 x 363 multiplications, twice instead of thrice."""
    network = architecture_named("single_gpu")
    macs = 55 * 55 * 96 * 363
    others = 27 * 27 * 256 * 2400 + 13 * 13 * (384 * 2304 + 384 * 3456 + 256 * 3456)
    others += 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    found = operations_per_image(network, 1000, input_size=227, size=227)
    assert found == 2 * (2 * macs + 3 * others)


def test_rate_is_positive_and_repeats_within_reason() -> None:
    rates = [product_rate(torch.device("cpu"), "fp32") for _ in range(2)]
    assert min(rates) > 1e9
