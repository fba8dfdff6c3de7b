"""The network of Self-Correction for Human Parsing (Li et al., TPAMI 2020), for inference, without a compiler.

Importing this package imports no framework; its modules import torch.
"""
