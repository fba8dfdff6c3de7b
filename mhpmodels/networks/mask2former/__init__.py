"""Mask2Former of Hugging Face transformers: queries that find parts and persons."""
