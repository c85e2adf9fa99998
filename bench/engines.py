"""Engines: what our wrapping costs beside the libraries themselves, and latency below dense int8.

    python bench/engines.py [--rounds 7] [--rank 256]

`single_gpu` at 227 pixels, 1,000 classes, its first weights (speed does not depend on them), images
of noise, on all cores that the process may use. The peers are the libraries as their guides show
them: ONNX Runtime on the exported model and on its own `quantize_static`, OpenVINO on the exported
model and on that of `nncf.quantize`, with a fixed batch. The physical limit of a single image: 2.15
G operations of convolutions and the bytes of the fully connected layers, at the rates that are
measured here (a product of int8 matrices, or of float32 where that is faster; a sum over 256 MB).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.alexnet.weights import Description, Weights
from imagetree.engines.building import build_engine, make_int8
from imagetree.engines.engine import NAMES, num_cores, precision_of
from imagetree.engines.graph import Graph, copy_node, take_apart
from imagetree.engines.low_rank import find_bases, lower_rank
from imagetree.engines.quantise import quantise
from imagetree.engines.runtimes import build_on
from imagetree.training.device import computes_bf16
from imagetree.wordnet import load_nouns
from run import interleaved, show

if TYPE_CHECKING:
    from collections.abc import Callable

    Variant = Callable[[np.ndarray], object]

SIDE, CLASSES = 227, 1000
PRECISIONS = ("fp32", "bf16", "int8") if computes_bf16(torch.device("cpu")) else ("fp32", "int8")
CONVOLUTIONS = 2 * 1_076_643_552  # operations; facts: 1,135,265,504 multiplications less 58,621,952
FULLY_CONNECTED = 58_621_952  # weights


def drawn(count: int) -> np.ndarray:
    """Noise with some structure, so that ranges are those of images."""
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def network() -> Weights:
    """The network with its first weights."""
    made = AlexNet(architecture_named("single_gpu"), CLASSES)
    wnids = load_nouns().wnids[:CLASSES]
    described = Description(
        "single_gpu", 0.5, SIDE, SIDE, tuple(wnids), (120.0, 115.0, 105.0), (70.0, 68.0, 70.0)
    )
    return Weights(described, made.state_dict())


def openvino_itself(model: Any, batch: int, precision: str) -> Variant:
    """OpenVINO's guide: a fixed batch, the latency hint."""
    import openvino

    core = openvino.Core()
    read = model if isinstance(model, openvino.Model) else core.read_model(model)
    read.reshape([batch, SIDE, SIDE, 3])
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(read, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda pixels: request.infer([pixels], share_inputs=True)[compiled.outputs[0]]


def nncf_itself(model: bytes) -> Any:
    """NNCF's guide: post-training quantisation with its defaults."""
    import nncf
    import openvino

    data = nncf.Dataset([each[None] for each in drawn(16)])
    return nncf.quantize(openvino.Core().read_model(model), data, subset_size=16)


def onnxruntime_itself(model: bytes) -> Variant:
    """ONNX Runtime's guide: a session on the model as it is."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_cores()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels})


def quantize_static_itself(model: bytes) -> bytes:
    """ONNX Runtime's own static quantisation, a scale for each channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = [{"pixels": each[None]} for each in drawn(16)]

        def get_next(self) -> Any:
            return self._left.pop() if self._left else None

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.onnx", Path(folder) / "b.onnx"
        source.write_bytes(model)
        quantize_static(source, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True)
        return target.read_bytes()


def without_norms(model: Any) -> Any:
    """The same model, its local response normalisation left out: what the norms cost."""
    graph = take_apart(model)
    given = {n.output[0]: n.input[0] for n in graph.nodes if n.op_type == "LRN"}
    nodes = [
        copy_node(node, [given.get(name, name) for name in node.input])
        for node in graph.nodes
        if node.op_type != "LRN"
    ]
    return replace(graph, nodes=tuple(nodes)).to_model()


def thin(weights: Weights, rank: int) -> Graph:
    """The fully connected layers at one rank; what a trained network needs is in docs/log.md."""
    graph, images = take_apart(make_onnx(weights)), drawn(16)
    shares = np.linspace(1 / rank, 1, rank, dtype=np.float32)
    bases = {n: b._replace(shares=shares) for n, b in find_bases(graph, images).items()}
    return lower_rank(graph, bases, 1.0)[0]


def limit() -> float:
    """Seconds for one image, dense int8: convolutions at the rate of a product, weights once."""
    a = torch.randint(-127, 127, (1024, 1024), dtype=torch.int8)
    f = a.float()
    b = torch.ones(256 << 20, dtype=torch.int8).view(torch.int64)
    seconds = interleaved(5, int8=lambda: torch._int_mm(a, a), fp32=lambda: f @ f, read=b.sum)
    rates = {name: 2 * 1024**3 / min(seconds[name]) for name in ("int8", "fp32")}
    bytes_a_second = (256 << 20) / min(seconds["read"])
    shown = ", ".join(f"{name} product {each / 1e9:.0f} GOP/s" for name, each in rates.items())
    print(f"\n{shown}, read {bytes_a_second / 1e9:.1f} GB/s")
    rate = max(rates.values())
    return CONVOLUTIONS / rate + FULLY_CONNECTED / bytes_a_second


def bench(batch: int, rounds: int, variants: dict[str, Variant], ours: str) -> None:
    """All in turn; each is called once before it is timed, on what others left in the caches."""
    pixels = drawn(batch)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            run(pixels)
            began = time.perf_counter()
            run(pixels)
            if number:
                seconds[name].append(time.perf_counter() - began)
    show(f"batch {batch} (ratios to {ours})", seconds, ours)
    times = {name: median(each) for name, each in seconds.items()}
    for precision in PRECISIONS:
        mine = min((n for n in times if is_ours(n, precision)), key=times.__getitem__)
        peers = (name for name in times if name.endswith(f" itself, {precision}"))
        theirs = min(peers, key=times.__getitem__)
        share = times[mine] / times[theirs]
        print(f"  {precision}: {mine} {share:.2f} of the best peer's time ({theirs})")


def is_ours(name: str, precision: str) -> bool:
    """Whether a variant is an engine of ours, whole, in a precision."""
    return name.startswith("ours, ") and name.endswith(f"-{precision}")


def main() -> None:
    """Both batches."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rank", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(num_cores())
    weights = network()
    exported = make_onnx(weights)
    model, int8 = exported.SerializeToString(), make_int8(exported, drawn(16))
    low = quantise(thin(weights, options.rank), drawn(16)).to_model()
    names = [name for name in NAMES if precision_of(name) in PRECISIONS]
    ours = {f"ours, {name}": build_engine(name, weights, int8).logits for name in names}
    bare = without_norms(int8)
    quantized, static = nncf_itself(model), quantize_static_itself(model)
    for batch, rounds in ((1, 3 * options.rounds), (64, options.rounds)):
        peers = {
            "openvino itself, fp32": openvino_itself(model, batch, "f32"),
            "openvino of nncf itself, int8": openvino_itself(quantized, batch, "bf16"),
            "onnxruntime itself, fp32": onnxruntime_itself(model),
            "onnxruntime itself, int8": onnxruntime_itself(static),
        }
        if "bf16" in PRECISIONS:
            peers["openvino itself, bf16"] = openvino_itself(model, batch, "bf16")
        named = {
            f"ours, openvino-int8, rank {options.rank}": build_on("openvino-int8", low).logits,
            "openvino-int8 without norms": build_on("openvino-int8", bare).logits,
            "onnxruntime-int8 without norms": build_on("onnxruntime-int8", bare).logits,
        }
        bench(batch, rounds, {**ours, **named, **peers}, "ours, openvino-int8")
    print(f"limit of one image in dense int8: {1e3 * limit():.1f} ms")


if __name__ == "__main__":
    main()
