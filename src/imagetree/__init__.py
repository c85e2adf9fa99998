"""imagetree: images on the WordNet hierarchy, the challenge over them, and AlexNet."""

__version__ = "0.1.0"
