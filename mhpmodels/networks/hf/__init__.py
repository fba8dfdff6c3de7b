"""Networks of Hugging Face's transformers, with the same few verbs as PSPNet and ICNet.

::

    presets      sizes of the named backbones
    described    known fields of a config.json, with checked values
    library      transformers, imported when a network of it is asked for
    segformer    SegFormer

Importing this package imports no framework.
"""
