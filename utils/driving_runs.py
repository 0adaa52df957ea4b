"""What lab 21's training was found to give: settings, and runs that differ in their seed alone.

`python benchmarks/driving_seeds.py` prints the numbers that stand below the settings.
"""

# The settings of the lab's REINFORCE, and the gap of its rule, tuned on the tracks to learn on.
CARS, STEPS, GAMMA, RATE = 32, 50, 0.98, 0.02
GAP = 5.0

# Of the runs below: so short that the seed decides a lot.
FEW_CARS, FEW_UPDATES = 16, 20

# Metres a car on the tracks of seeds 100 to 107, a number for each seed from 0 on: with the
# baseline of the other cars, and without one. RULE: of the rule on the same tracks.
WITH: tuple[float, ...] = ()
WITHOUT: tuple[float, ...] = ()
RULE = 214.0

# The first drive, from World([draw_track(TRACK)], 1, seed=0) on, of a driver trained with seed 0.
TRACK = 103
PATH: tuple[tuple[float, float], ...] = ()
