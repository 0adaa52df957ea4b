"""Kernels: Triton where it runs, a machine that counts loads and stores, devices to measure on."""
