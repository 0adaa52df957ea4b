"""How much of something one party may do: a bucket that fills with time and empties with use."""

from dataclasses import dataclass, field

_MOST_PARTIES = 10_000


@dataclass
class Limit:
    """most: at once; rate: how many more each second."""

    most: float
    rate: float
    _left: dict[object, tuple[float, float]] = field(default_factory=dict)

    def allows(self, party: object, now: float, count: int = 1) -> bool:
        """Whether the party may do it `count` times now; if so, they count. now: in seconds."""
        if len(self._left) > _MOST_PARTIES:
            self._left.clear()
        left, since = self._left.get(party, (self.most, now))
        left = min(self.most, left + (now - since) * self.rate)
        allowed = count <= left
        self._left[party] = (left - count * allowed, now)
        return allowed
