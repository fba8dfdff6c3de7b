"""Networks of Hugging Face's transformers, with the same few verbs as PSPNet and ICNet.

::

    presets      sizes of the named backbones
    described    known fields of a config.json, with checked values
    library      transformers, imported when a network of it is asked for
    tensors      weights of a folder, without pickle
    pretrained   these weights in a network
    segformer    SegFormer
    backbones    Swin and ConvNeXt V2, for heads that take any backbone
    upernet      UperNet over such a backbone
    folder       a folder as it is: network, preprocessing, names of the classes

Importing this package imports no framework.
"""
