"""What lab 21's training was found to give: settings, and runs that differ in their seed alone.

Made by `python benchmarks/driving_seeds.py`, which prints what stands below.
"""

# The settings of the lab's REINFORCE, and the gap of its rule, tuned on the tracks to learn on.
CARS, STEPS, GAMMA, RATE = 32, 60, 0.98, 0.02
GAP = 5.0
UPDATES = 30  # of each run below

# Metres a car on the tracks of seeds 100 to 107, as a mean over 32 cars; a number for each seed from
# 0 on: with the baseline of the other cars, and without one.
WITH: tuple[float, ...] = ()
WITHOUT: tuple[float, ...] = ()
RULE = 214.0  # metres of the rule on the same tracks

# The first drive, from World([draw_track(TRACK)], 1, seed=0) on, of a driver trained with seed 0.
TRACK = 103
PATH: tuple[tuple[float, float], ...] = ()
