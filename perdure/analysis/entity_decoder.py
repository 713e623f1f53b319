"""Named entities from spaCy's recogniser, decoded for all tokens at once instead of one by one.

spaCy's greedy decoder goes from token to token, and in its compiled form takes and drops Python's global lock at every
one: half of the time that processing took. But outside of an entity the choice at a token does not depend on what came
before, so those choices are made for all tokens in a few matrix products, and only the tokens inside of entities are
gone through one after the other, all entities in step. The weights, the order of the sums and the rules for which move
is allowed are spaCy's (`ml/parser_model.pyx`, `pipeline/_parser_internals/ner.pyx`), and so are the entities.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from spacy.attrs import IS_SPACE
from thinc.api import Ragged

Entity = tuple[int, int, str]
"""First token, token after the last, label."""
_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]
_MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64)
_OUT = "O"
PIECES = 2
"""Of a hidden unit, the larger of which counts."""


class EntityDecoder:
    """Finds the entities that the pipeline's `ner` would find, several times as fast.

    Args:
        ner: a trained `EntityRecognizer` with a `Tok2Vec` of its own, as spaCy's packaged models have it.

    Raises:
        ValueError: its network is built in another way.
    """

    def __init__(self, ner: Any) -> None:
        tok2vec, self._lower, upper = ner.model.layers
        try:
            inner, self._to_array, self._reduce = tok2vec.layers
            embed, self._encode = inner.layers
            extract, _, self._hash, self._mix, _ = embed.layers
            self._columns = extract.attrs["columns"]
            known = len(self._columns) == len(_MIXERS) and self._lower.get_dim("nP") == PIECES
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError("This recogniser's network is not the one that the decoder knows.") from error
        if not known or ner.model.attrs["unseen_classes"]:
            raise ValueError("This recogniser's network is not the one that the decoder knows.")
        self._bias, self._weights = self._lower.get_param("b").reshape(-1), upper.get_param("W").T
        self._out_bias = upper.get_param("b")
        moves = [ner.moves.get_class_name(number) for number in range(ner.moves.n_moves)]
        self._labels = [move.partition("-")[2] for move in moves]
        self._starts = np.array([move[0] == "B" for move in moves])
        self._units = np.array([move[0] == "U" and move != "U-" for move in moves])
        # For each move that opens an entity, those that go on with it and that end it.
        self._inside = np.array([_index(moves, f"I-{label}") for label in self._labels])
        self._last = np.array([_index(moves, f"L-{label}") for label in self._labels])
        self._outside = moves.index(_OUT)

    def decode(self, documents: Sequence[Any]) -> Iterator[list[Entity]]:
        """The entities of each tokenised document (`spacy.tokens.Doc`), in order; the documents stay as they are."""
        lengths = [len(document) for document in documents]
        if not sum(lengths):
            yield from ([] for _ in documents)
            return
        features = self._features(documents, lengths)
        ends = np.cumsum(lengths)
        is_last = np.zeros(len(features) - 1, bool)
        is_last[ends[ends > 0] - 1] = True
        is_space = np.concatenate([document.to_array([IS_SPACE]) for document in documents]) > 0
        found = self._entities(features, is_last, is_space)
        position = 0
        for end, length in zip(ends, lengths, strict=True):
            own = []
            while position < len(found) and found[position][0] < end:
                first, after, label = found[position]
                own.append((first - int(end) + length, after - int(end) + length, label))
                position += 1
            yield own

    def _features(self, documents: Sequence[Any], lengths: Sequence[int]) -> _Floats:
        """What each token adds to a state: (tokens + 1, places in the state, pieces of hidden units); 0: no token."""
        attributes = np.concatenate([document.to_array(self._columns) for document in documents])
        # The first layers look at one token alone, so each different token goes through them once.
        _, first, which = np.unique((attributes * _MIXERS).sum(axis=1), return_index=True, return_inverse=True)
        different = Ragged(attributes[first], np.array([len(first)], "i"))  # type: ignore[arg-type] # of NumPy, too
        embedded = self._mix.predict(self._hash.predict(different)).data[which]
        pieces = np.split(embedded, np.cumsum(lengths)[:-1])
        encoded = self._reduce.predict(self._to_array.predict(self._encode.predict(pieces)))
        features = self._lower.predict(encoded)
        return features.reshape(len(features), features.shape[1], -1)  # type: ignore[no-any-return]

    def _scores(self, sums: _Floats) -> _Floats:
        """(states, moves), of summed features."""
        sums = sums + self._bias
        hidden = np.maximum(sums[:, ::PIECES], sums[:, 1::PIECES])
        return hidden @ self._weights + self._out_bias  # type: ignore[no-any-return]

    def _entities(
        self, features: _Floats, is_last: npt.NDArray[np.bool_], is_space: npt.NDArray[np.bool_]
    ) -> list[Entity]:
        scores = self._scores(features[1:, 0] + features[0, 1] + features[0, 2])
        allowed = np.zeros_like(scores, bool)
        allowed[:, self._units] = ~is_space[:, None]
        allowed[:, self._starts] = ~(is_space | is_last)[:, None]
        allowed[:, self._outside] = True
        chosen = np.where(allowed, scores, -np.inf).argmax(axis=1)
        starting = np.flatnonzero(self._starts[chosen])
        after = dict(zip(starting.tolist(), self._ends(features, starting, chosen, is_last).tolist(), strict=True))
        found: list[Entity] = []
        reached = 0
        for token in np.flatnonzero(chosen != self._outside).tolist():
            if token >= reached:  # else it is inside of the entity before
                reached = after.get(token, token + 1)
                found.append((token, reached, self._labels[chosen[token]]))
        return found

    def _ends(self, features: _Floats, starting: _Ints, chosen: _Ints, is_last: npt.NDArray[np.bool_]) -> _Ints:
        """The token after the last of each entity that would start at these tokens."""
        ends = np.zeros_like(starting)
        open_ones = np.arange(len(starting))
        token = starting + 1
        while len(open_ones):
            first = starting[open_ones]
            scores = self._scores(features[token + 1, 0] + features[first + 1, 1] + features[token, 2])
            rows, move = np.arange(len(token)), chosen[first]
            goes_on = (scores[rows, self._inside[move]] >= scores[rows, self._last[move]]) & ~is_last[token]
            ends[open_ones[~goes_on]] = token[~goes_on] + 1
            open_ones, token = open_ones[goes_on], token[goes_on] + 1
        return ends


def _index(moves: Sequence[str], name: str) -> int:
    return moves.index(name) if name in moves else -1
