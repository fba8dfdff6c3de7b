"""One module per image format: what a file's bytes say, and for PNG, BMP and GIF their pixels.

``segments`` is of JPEG, ``chunks`` of PNG.
"""
