"""One image to logits: padding, windows, scales, mirror images."""
