"""A World whose API may refuse creations, as quotas, schemas and admission webhooks do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graylane.errors import ApiError
from graylane.kit import Create
from graylane.kit.apply import is_refusal
from graylane.kit.effects import Effect
from graylane.testing.world import World


@dataclass
class RefusingWorld(World):
    """`refuse` says which creation is refused and with which words; consequences follow as `kit.apply` has them."""

    refuse: Callable[[Create], ApiError | None] = lambda _: None

    def _perform(self, effect: Effect) -> None:
        error = self.refuse(effect) if isinstance(effect, Create) else None
        if error is None:
            return super()._perform(effect)
        assert isinstance(effect, Create)
        if is_refusal(error):
            self.apply(effect.consequences(error.message))
        raise error
