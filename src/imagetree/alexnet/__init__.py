"""The AlexNets: architectures as data, what each layer counts, and the network in PyTorch.

`architectures` and `counts` need no torch; `network` and `lrn` do.
"""
