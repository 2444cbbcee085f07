"""What setuptools wants to find; everything else is in setup.cfg."""

from setuptools import setup

setup()
