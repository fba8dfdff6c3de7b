"""One module per image format: parse the file, and for PNG, BMP and GIF decode the pixels.

``segments`` parses JPEG, ``chunks`` parses PNG.
"""
