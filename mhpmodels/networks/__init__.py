"""Build networks in torch: GluonCV's PSPNet and ICNet, module for module, and user-defined networks.

Importing this package imports no framework; its modules import torch.
"""
