"""Architectures as ordered blocks, their weights, heads and freezing.

Importing a module of this room imports torch and torchvision (seconds); `names` and
`weights_files` alone do not.
"""
