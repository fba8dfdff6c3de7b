"""A free stand-in for LV-MHP v1, v2 and CIHP: folders of their exact form, of drawn persons, not photographed ones.

::

    plan  ──►  scene.paint       photo, uint8 (height, width, 3) RGB
      │   └─►  annotation        masks, uint8 (height, width), one a person; classes by vocabulary
      ▼
    folder.synthesize            lists, photos, masks in a release's form (forms; defects breaks some of them)

Rule: image ``index`` of dataset ``seed`` is a function of the two numbers, so its bytes do not depend on how many
images are made, in which order or by how many processes. For demos, tests and speed; figures of accuracy belong to
real data.
"""
