"""Provenance of made-up weights."""

from mhpmodels.files.provenance import Origin, TrainingData, WeightFile

V1 = TrainingData("rec/", "train", "mhp-v1", "a" * 64, "non-commercial research only", "Li et al., 2017")
OWN = TrainingData("s3://mine/rec", "all", "folder", None, None, None)
FIRST = Origin("0.1.0", "mhp train --data rec/", 0, None, WeightFile("store"), (V1,))
SECOND = Origin("0.2.0", None, 7, WeightFile("a.params", 189, "b" * 64), None, (V1, OWN))
