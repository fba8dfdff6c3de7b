"""Networks in torch: GluonCV's PSPNet and ICNet, module for module, and networks of one's own.

Importing this package imports no framework; its modules import torch.
"""
