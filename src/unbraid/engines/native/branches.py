"""Residual branches with what they may look further with: an LSTM, attention."""

from __future__ import annotations

import ctypes
import math

import numpy as np

from unbraid.engines.native.library import LstmDirection, LstmShape, kernels, pointer
from unbraid.engines.native.packing import FOURS, pack
from unbraid.engines.native.products import ADD, PLAIN, Product
from unbraid.engines.native.sheets import Pool, Sheet
from unbraid.engines.native.weights import PackedBranch, Weights

_DECAYS = 4


class SpanLstm:
    """`SpanLSTM`: spans that overlap by half, of each of which the middle is kept."""

    def __init__(self, weights: Weights, span: int = 200) -> None:
        self._span = span
        self._layers = []
        for layer in range(sum(f"lstm.weight_ih_l{n}" in weights for n in range(9))):
            ways = []
            for way in ("", "_reverse"):
                recurrent = weights.stored(f"lstm.weight_hh_l{layer}{way}")  # (4 units, units)
                entering = weights.stored(f"lstm.weight_ih_l{layer}{way}")
                bias = (
                    weights[f"lstm.bias_ih_l{layer}{way}"] + weights[f"lstm.bias_hh_l{layer}{way}"]
                )
                product = Product(entering.T[None], bias, PLAIN, turns=FOURS)
                ways.append((product, pack(recurrent.T[None], FOURS, vectors=FOURS)))
            self._layers.append(ways)
        self.units = recurrent.shape[1]
        self._linear = Product(weights.stored("linear.weight").T[None], weights["linear.bias"], ADD)

    def __call__(self, h: np.ndarray, stride: int, steps: int, pool: Pool, threads: int) -> None:
        """h <- h + linear(lstm(h)), on (steps, stride)."""
        units, span = self.units, min(self._span, steps)
        hop = self._span // 2 if steps > self._span else span
        count = math.ceil(steps / hop)
        padded = (count - 1) * hop + span
        inputs, inputs_stride = h, stride
        shape = LstmShape(
            steps=span,
            sequences=count,
            units=units,
            input_step=4 * units,
            input_sequence=hop * 4 * units,
            out_width=2 * units,
        )
        # The first layer's inputs are made once for every step and read by both spans it is in.
        rows, seen = padded, steps
        out = None
        for ways in self._layers:
            gates = [pool.take(rows * 4 * units) for _ in ways]
            for memory, (entering, _) in zip(gates, ways, strict=True):
                entering(
                    [pointer(inputs)], inputs_stride, seen, pointer(memory), 4 * units, threads
                )
                if seen < rows:  # silence behind the end: the bias alone
                    self._silence(entering, memory, seen, rows, threads)
            result = pool.take(span * count * 2 * units)
            directions = [
                LstmDirection(
                    inputs=pointer(memory), packed=pointer(packed), out=pointer(result, way * units)
                )
                for way, (memory, (_, packed)) in enumerate(zip(gates, ways, strict=True))
            ]
            kernels().lstm(
                ctypes.byref(directions[0]),
                ctypes.byref(directions[1]),
                ctypes.byref(shape),
                threads,
            )
            pool.give(*gates)
            if out is not None:
                pool.give(out)
            out = inputs = result
            inputs_stride = 2 * units
            rows = seen = span * count
            shape.input_step, shape.input_sequence = count * 4 * units, 4 * units
        assert out is not None
        spans = out[: span * count * 2 * units].reshape(span, count, 2 * units)
        kept = np.ascontiguousarray(self._stitch(spans, hop)[:steps])
        pool.give(out)
        self._linear([pointer(kept)], 2 * units, steps, pointer(h), stride, threads)

    @staticmethod
    def _silence(entering: Product, memory: np.ndarray, seen: int, rows: int, threads: int) -> None:
        zeros = np.zeros((rows - seen, entering.depth), np.float32)
        entering(
            [pointer(zeros)],
            entering.depth,
            rows - seen,
            pointer(memory, seen * entering.columns),
            entering.columns,
            threads,
        )

    @staticmethod
    def _stitch(spans: np.ndarray, hop: int) -> np.ndarray:
        """(span, count, features) -> (steps, features)."""
        span, count, width = spans.shape
        if count == 1:
            return spans[:, 0]
        margin = hop // 2
        middle = spans[margin : span - margin, 1:-1].swapaxes(0, 1).reshape(-1, width)
        return np.concatenate([spans[: span - margin, 0], middle, spans[margin:, -1]])


class Attention:
    """`LocalAttention`, without `periods`."""

    def __init__(self, weights: Weights, heads: int = 4) -> None:
        query = weights["query.weight"][:, :, 0]
        self.width, self._heads = len(query), heads
        self._depth = self.width // heads
        share = np.float32(1 / math.sqrt(self._depth))
        names = ("key", "content", "query_decay")
        matrices = [query * share, *(weights[f"{name}.weight"][:, :, 0] for name in names)]
        biases = [weights["query.bias"] * share, *(weights[f"{name}.bias"] for name in names)]
        self._project = Product(np.concatenate(matrices).T[None], np.concatenate(biases), PLAIN)
        self._proj = Product(
            weights.stored("proj.weight")[:, :, 0].T[None], weights["proj.bias"], ADD
        )

    def __call__(self, h: np.ndarray, stride: int, steps: int, pool: Pool, threads: int) -> None:
        """h <- h + attention(h), on (steps, stride)."""
        wide = self._project.columns
        projected, found = pool.take(steps * wide), pool.take(steps * self.width)
        self._project([pointer(h)], stride, steps, pointer(projected), wide, threads)
        kernels().attend(
            pointer(projected),
            wide,
            steps,
            self._heads,
            self._depth,
            _DECAYS,
            pointer(found),
            threads,
        )
        self._proj([pointer(found)], self.width, steps, pointer(h), stride, threads)
        pool.give(projected, found)


class Branch:
    """A residual branch that may look further with an LSTM and attention."""

    def __init__(self, weights: Weights, dilation: int) -> None:
        self._branch = PackedBranch(weights, dilation)
        self._looks: list[SpanLstm | Attention] = []
        if weights.has("lstm"):
            self._looks.append(SpanLstm(weights.under("lstm")))
        if weights.has("attention"):
            self._looks.append(Attention(weights.under("attention")))

    def __call__(self, y: Sheet, pool: Pool, threads: int) -> None:
        """y <- y + branch(y)."""
        branch = self._branch
        h = pool.take(y.steps * branch.stride)
        branch.squeeze(y.at(), y.steps, h, threads)
        for look in self._looks:
            look(h, branch.stride, y.steps, pool, threads)
        branch.expand(h, y.steps, y.at(), threads)
        pool.give(h)
