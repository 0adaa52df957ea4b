"""What a baseline does to a driver that learns, over many seeds: lab 21's recorded runs.

    python benchmarks/driving_seeds.py --seeds 40

trains lab 21's policy by REINFORCE with the baseline of the other cars and without one, everything
else the same, once for each seed, and one driver for longer. It prints the numbers that
`utils/driving_runs.py` holds. 40 seeds take about two minutes on one core.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from grading.checks.answers import driving as answers
from utils import driving, driving_runs
from utils.driving import World


def new_policy(seed: int) -> nn.Sequential:
    """As lab 21 has it."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(driving.SENSES, 32), nn.Tanh(), nn.Linear(32, 3))


def trained(
    seed: int, cars: int, updates: int, worth: Callable[[Tensor], Tensor] = answers.advantages
) -> driving.Choose:
    """The driver that a run of this seed ends with. worth: makes of the returns what is in the
    loss."""
    policy, world = new_policy(seed), World(driving.draw_tracks(8), cars, seed)
    optimizer = torch.optim.Adam(policy.parameters(), driving_runs.RATE)
    for _ in range(updates):
        choose = lambda seen: Categorical(logits=policy(seen)).sample()  # noqa: E731
        log = driving.drive(choose, world, driving_runs.STEPS)
        returns = answers.discounted_returns(log.rewards, log.ends, driving_runs.GAMMA)
        scores, actions = policy(log.seen).flatten(0, 1), log.actions.flatten()
        loss = answers.policy_gradient_loss(scores, actions, worth(returns).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lambda seen: policy(seen).argmax(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="runs of each (40)")
    parser.add_argument("--updates", type=int, default=200, help="of the one longer run (200)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    new = driving.draw_tracks(8, first=100)
    cars, updates = driving_runs.FEW_CARS, driving_runs.FEW_UPDATES
    for name, worth in (("WITH", answers.advantages), ("WITHOUT", torch.clone)):
        came = [
            round(driving.metres(trained(seed, cars, updates, worth), new).mean().item(), 1)
            for seed in range(asked.seeds)
        ]
        print(f"{name} = {tuple(came)}")
        spread = statistics.stdev(came) if len(came) > 1 else 0.0
        print(f"# mean {statistics.mean(came):.1f}, standard deviation {spread:.1f}")
    rule = driving.metres(driving.by_hand(driving_runs.GAP), new).mean().item()
    print(f"RULE = {rule:.1f}")
    choose = trained(0, driving_runs.CARS, asked.updates)
    print(
        f"# one of {asked.updates} updates: {driving.metres(choose, new).mean().item():.1f} metres"
    )
    path = driving.path(choose, driving.draw_track(driving_runs.TRACK))
    print(f"PATH = {tuple((round(float(x), 1), round(float(y), 1)) for x, y in path)}")


if __name__ == "__main__":
    main()
