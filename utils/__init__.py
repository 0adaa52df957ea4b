"""What every lab shares: data, sizes, device, pictures, seeds.

Import the modules by name (`from utils import data, plots, settings`). This file imports nothing,
so that a lab pays only for what it uses; `benchmarks/import_utils.py` measures what that is.
"""
