"""The backbones of PSPNet and ICNet.

::

    resnet        GluonCV's residual networks, dilated
    efficientnet  EfficientNet-Lite0, dilated
    backbone      either of them as the children of a network, and its initial weights
"""
