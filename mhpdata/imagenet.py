"""ImageNet channel statistics; images are normalised with them because the networks' backbones were trained so."""

MEAN = (0.485, 0.456, 0.406)
"""Mean of R, G, B in 0..1: normalised = (value / 255 - mean) / deviation."""
DEVIATION = (0.229, 0.224, 0.225)
"""Standard deviation of R, G, B in 0..1."""
