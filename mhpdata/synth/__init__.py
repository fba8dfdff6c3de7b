"""Generate free stand-ins for LV-MHP v1, v2 and CIHP: datasets in their exact form, with drawn persons.

::

    plan  ──►  scene.paint       image, uint8 (height, width, 3) RGB
      │   └─►  annotation        masks, uint8 (height, width), one per person; classes by vocabulary
      ▼
    folder.synthesize            lists, images, masks in a release's form (forms; defects breaks some of them)

The rule: image ``index`` of dataset ``seed`` depends on these two numbers only, so its bytes do not depend on the
number of images, their order or the number of processes. Synthetic data are for demos, tests and benchmarks of speed,
not of accuracy.
"""
