"""A checkpoint that answers, and whose network can be looked into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.recognition.calibration import load_calibration
from imagetree.recognition.classifier import Classifier
from imagetree.training.checkpoints import load_checkpoint, load_network
from imagetree.training.device import choose_device, logits_of
from imagetree.training.evaluate import View
from imagetree.training.runs import CHECKPOINT

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.alexnet.network import AlexNet
    from imagetree.recognition.calibration import Calibration, Crops
    from imagetree.training.evaluate import Logits


@dataclass(frozen=True)
class Recognizer(Classifier):
    """A network of torch's that is ready to answer, from any number of threads.

    Args:
        network: on its device, in evaluation mode.
        wnids: wnid of each class.
        view: how images are shown to it.
        calibration: how its probabilities are to be read; None takes them as they are.
    """

    network: AlexNet
    wnids: tuple[str, ...]
    view: View
    calibration: Calibration | None = None

    @classmethod
    def load(cls, path: Path, *, calibrated: bool = False, crops: Crops = 1) -> Recognizer:
        """The network of a run or of a checkpoint file.

        Args:
            path: a run's folder, or the file.
            calibrated: read the probabilities as the calibration beside the checkpoint says, where
                there is one for this number of crops.
            crops: views of an image; the answer is the mean over them.

        Raises:
            TrainingError: the file is missing, damaged, or of another architecture than it says;
                or the calibration is damaged or of another checkpoint.
        """
        path = path / CHECKPOINT if path.is_dir() else path
        checkpoint = load_checkpoint(path)
        # only a run's own checkpoint has one: beside a copy lies what was found for another file
        has_own = calibrated and path.name == CHECKPOINT
        calibration = load_calibration(path.parent, crops) if has_own else None
        config = checkpoint.config
        device = choose_device("auto")
        network = load_network(checkpoint, name=str(path)).to(device)
        view = View(
            config.test_size,
            checkpoint.subtracted,
            checkpoint.std,
            # bf16 that this device does not have would take a hundred times as long
            "fp32" if config.precision == "fp32" else "auto",
            config.workers,
            crops,
        )
        return cls(network, checkpoint.wnids, view, calibration)

    @property
    def logits(self) -> Logits:
        """See `Classifier`."""
        return logits_of(self.network, self.view)
