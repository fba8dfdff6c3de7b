"""Build networks in torch: PSPNet and ICNet as in GluonCV, networks of transformers, SCHP, and user-defined networks.

Importing this package imports no framework; its modules import torch.
"""
