"""The statistics of ImageNet by which images are normalised, as the networks' backbones were trained."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of R, G, B in 0..1: an image is normalised by (value / 255 - mean) / deviation."""
