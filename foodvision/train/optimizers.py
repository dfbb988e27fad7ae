"""Optimizers by name: torch's mathematics, with the state in plain sight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from foodvision.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

Kind = Literal["adam", "adamw", "rmsprop", "sgd"]
# One elementwise kernel per step, without atomics: bit-equal from run to run for equal `threads`.
_FUSED_DEVICES = frozenset({"cpu", "cuda"})


@dataclass(frozen=True)
class OptimizerSettings:
    """An optimizer without its learning rate, which the engine sets at every step.

    Attributes:
        kind: `adam` (Kingma & Ba, 2015), `adamw` (Loshchilov & Hutter, 2019), `rmsprop` (Tieleman
            & Hinton, 2012) or `sgd`.
        betas: decay of Adam's running means; each in [0, 1).
        eps: added to the denominator of Adam and RMSprop; >= 0.
        weight_decay: L2 penalty (adam, rmsprop, sgd) or decoupled decay (adamw); >= 0.
        momentum: of SGD and RMSprop; >= 0.
        nesterov: whether SGD looks ahead (Sutskever et al., 2013); needs a momentum.
        alpha: decay of RMSprop's running mean of squares; in [0, 1).
        centered: whether RMSprop divides by the variance instead (Graves, 2013).
    """

    kind: Kind
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    alpha: float = 0.99
    centered: bool = False


@dataclass(frozen=True)
class ClipSettings:
    """How gradients are cut before a step: by one of the two.

    Attributes:
        norm: longest gradient of all parameters together; > 0.
        value: largest absolute value of each number; > 0.
    """

    norm: float | None = None
    value: float | None = None


class Optimizer:
    """Adam, AdamW, RMSprop or SGD over parameters of one device.

    The steps are `torch.optim.adam.adam`, `torch.optim.rmsprop.rmsprop` and `torch.optim.sgd.sgd`.
    Their classes are not used: building the first one imports torch's compiler, which takes seconds
    in every process.

    On the CPU and on CUDA the kernels are fused (RMSprop has no such one): the fastest for small
    heads. Each element is computed on its own, so that neither the order of threads nor of blocks
    acts on the bits.

    Attributes:
        lr: learning rate of the next step; >= 0.
        momentum: of the next step, for Adam the first beta; `None`: as in the settings.
    """

    def __init__(
        self,
        params: Sequence[torch.nn.Parameter],
        settings: OptimizerSettings,
        lr: float,
        factors: Sequence[float] | None = None,
    ) -> None:
        self.lr = lr
        self.momentum: float | None = None
        self._params = tuple(params)
        self._settings = settings
        self._is_fused = all(param.device.type in _FUSED_DEVICES for param in params)
        self._states: list[dict[str, Tensor]] = [{} for _ in params]
        self._groups: dict[float, list[int]] = {}
        for position, factor in enumerate(factors or [1.0] * len(self._params)):
            self._groups.setdefault(factor, []).append(position)

    @torch.no_grad()
    def step(self) -> None:
        """Change every parameter that has a gradient."""
        for factor, positions in self._groups.items():
            self._step_group(positions, self.lr * factor)

    def _step_group(self, positions: Iterable[int], lr: float) -> None:
        params: list[Tensor] = []
        grads: list[Tensor] = []
        states: list[dict[str, Tensor]] = []
        for position in positions:
            param, state = self._params[position], self._states[position]
            if param.grad is not None:
                params.append(param)
                grads.append(param.grad)
                states.append(state or self._begin(state, param))
        if not params:
            return
        if self._settings.kind == "sgd":
            self._step_sgd(params, grads, states, lr)
        elif self._settings.kind == "rmsprop":
            self._step_rmsprop(params, grads, states, lr)
        else:
            self._step_adam(params, grads, states, lr)

    def clip(self, settings: ClipSettings) -> None:
        """Cut the gradients of all parameters."""
        if settings.norm is not None:
            clip_grad_norm_(self._params, settings.norm, foreach=False)
        if settings.value is not None:
            clip_grad_value_(self._params, settings.value, foreach=False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for param in self._params:
            param.grad = None

    def states(self) -> Iterator[dict[str, Tensor]]:
        """Yield each parameter's state by name, in order; empty before its first step."""
        yield from self._states

    def restore(self, position: int, state: dict[str, Tensor]) -> None:
        """Set a parameter's state to copies of `state`, laid out as the optimizer needs them.

        Raises:
            TrainingError: these are not the states of such an optimizer and parameter.
        """
        fresh = self._begin({}, self._params[position])
        shapes = {name: tuple(value.shape) for name, value in fresh.items()}
        found = {name: tuple(value.shape) for name, value in state.items()}
        if shapes != found:
            raise TrainingError(
                f"{self._settings.kind} needs the states {shapes} of its parameter {position}, "
                f"found {found}. Go on with the optimizer that the snapshot was taken with."
            )
        with torch.no_grad():
            for name, value in fresh.items():
                value.copy_(state[name])
        self._states[position] = fresh

    def _momentum(self) -> float:
        return self._settings.momentum if self.momentum is None else self.momentum

    def _begin(self, state: dict[str, Tensor], param: torch.nn.Parameter) -> dict[str, Tensor]:
        """Fill in the state before the first step, in the memory layout of the parameter."""
        if self._settings.kind == "sgd":
            if self._settings.momentum:
                state["momentum_buffer"] = torch.zeros_like(param, requires_grad=False)
            return state
        if self._settings.kind == "rmsprop":
            return self._begin_rmsprop(state, param)
        counter_device = param.device if self._is_fused else torch.device("cpu")
        state["step"] = torch.zeros((), dtype=torch.float32, device=counter_device)
        state["exp_avg"] = torch.zeros_like(param, requires_grad=False)
        state["exp_avg_sq"] = torch.zeros_like(param, requires_grad=False)
        return state

    def _begin_rmsprop(
        self, state: dict[str, Tensor], param: torch.nn.Parameter
    ) -> dict[str, Tensor]:
        state["step"] = torch.zeros((), dtype=torch.float32)
        state["square_avg"] = torch.zeros_like(param, requires_grad=False)
        if self._settings.momentum:
            state["momentum_buffer"] = torch.zeros_like(param, requires_grad=False)
        if self._settings.centered:
            state["grad_avg"] = torch.zeros_like(param, requires_grad=False)
        return state

    def _step_adam(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Tensor]], lr: float
    ) -> None:
        beta1, beta2 = self._settings.betas
        if self.momentum is not None:
            beta1 = self.momentum
        adam(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=False,
            fused=self._is_fused,
            decoupled_weight_decay=self._settings.kind == "adamw",
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=lr,
            weight_decay=self._settings.weight_decay,
            eps=self._settings.eps,
            maximize=False,
        )

    def _step_rmsprop(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Tensor]], lr: float
    ) -> None:
        rmsprop(
            params,
            grads,
            [state["square_avg"] for state in states],
            [state["grad_avg"] for state in states if "grad_avg" in state],
            [state["momentum_buffer"] for state in states if "momentum_buffer" in state],
            [state["step"] for state in states],
            foreach=False,
            maximize=False,
            lr=lr,
            alpha=self._settings.alpha,
            eps=self._settings.eps,
            weight_decay=self._settings.weight_decay,
            momentum=self._momentum(),
            centered=self._settings.centered,
        )

    def _step_sgd(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Tensor]], lr: float
    ) -> None:
        # A momentum that begins at zero takes the same first step as one that does not exist yet.
        sgd(
            params,
            grads,
            [state.get("momentum_buffer") for state in states],
            foreach=False,
            fused=self._is_fused,
            weight_decay=self._settings.weight_decay,
            momentum=self._momentum(),
            lr=lr,
            dampening=0.0,
            nesterov=self._settings.nesterov,
            maximize=False,
        )


def build_optimizer(
    params: Sequence[torch.nn.Parameter],
    settings: OptimizerSettings,
    lr: float,
    factors: Sequence[float] | None = None,
) -> Optimizer:
    """Build the optimizer of trainable parameters.

    Args:
        params: trainable, all on one device; at least one.
        settings: which optimizer.
        lr: learning rate of the first step.
        factors: what the learning rate of each parameter is multiplied by; `None`: 1.

    Raises:
        TrainingError: there is nothing to train, or a setting is outside its range.
    """
    if not params:
        raise TrainingError(
            "Training needs at least one trainable parameter, found none: every block is frozen. "
            "Choose a smaller `model.freeze` (`backbone` leaves the head trainable)."
        )
    for rule, is_wrong in _rules(settings):
        if is_wrong:
            raise TrainingError(f"optimizer: {rule}, found {settings}. Change `optimizer`.")
    return Optimizer(params, settings, lr, factors)


def _rules(settings: OptimizerSettings) -> list[tuple[str, bool]]:
    positive = {
        "eps": settings.eps,
        "weight_decay": settings.weight_decay,
        "momentum": settings.momentum,
    }
    return [
        (f"kind must be one of {', '.join(get_args(Kind))}", settings.kind not in get_args(Kind)),
        ("betas must lie in [0, 1)", not all(0 <= beta < 1 for beta in settings.betas)),
        ("alpha must lie in [0, 1)", not 0 <= settings.alpha < 1),
        *(
            (f"{name} must be finite and at least 0", not 0 <= value < math.inf)
            for name, value in positive.items()
        ),
        ("nesterov needs a momentum above 0", settings.nesterov and not settings.momentum),
    ]
