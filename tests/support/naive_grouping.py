"""Slow twin of mhpmodels.persons.grouping: one pixel at a time, Python numbers and NumPy's float32."""

from __future__ import annotations

import numpy as np


def centres(heat, window, threshold):
    """Return [(value, y, x)], the largest value first: the first of the largest values in the window around it."""
    found = []
    for y in range(heat.shape[0]):
        for x in range(heat.shape[1]):
            reach = window // 2
            top, left = max(0, y - reach), max(0, x - reach)
            around = heat[top : y + reach + 1, left : x + reach + 1]
            first = np.unravel_index(np.argmax(around), around.shape)
            if heat[y, x] > threshold and (top + first[0], left + first[1]) == (y, x):
                found.append((heat[y, x], y, x))
    return sorted(found, key=lambda one: -one[0])[:255]


def group(logits, maps, labels, threshold, window, least):
    """Return persons uint8 (H, W) and their scores."""
    known = centres(maps[0], window, np.float32(threshold))
    exps = np.exp(logits - logits.max(0))
    sure = 1 / exps.sum(0)
    (height, width), (h, w) = labels.shape, maps.shape[1:]
    owners, pixels = np.zeros(labels.shape, int), {}
    for y in range(height):
        for x in range(width):
            v, u = (2 * y + 1) * h // (2 * height), (2 * x + 1) * w // (2 * width)
            if labels[y, x] and known:
                cy, cx = np.float32(v) + maps[1, v, u], np.float32(u) + maps[2, v, u]
                apart = [(cy - np.float32(a)) ** 2 + (cx - np.float32(b)) ** 2 for _, a, b in known]
                owners[y, x] = int(np.argmin(apart)) + 1
                pixels.setdefault(owners[y, x], []).append(sure[v, u])
    persons, scores = np.zeros(labels.shape, np.uint8), []
    for k, (value, _, _) in enumerate(known, 1):
        if len(pixels.get(k, ())) >= least:
            scores.append(float(value) * float(np.mean(pixels[k][::16], dtype=np.float64)))
            persons[owners == k] = len(scores)
    return persons, scores
