"""Architectures as ordered blocks, their weights, heads and freezing.

Importing any module of this room imports torch and torchvision (seconds).
"""
