"""Decodes the named entities of spaCy's recogniser for all tokens at once.

spaCy's greedy decoder goes from token to token. Its compiled form takes and drops Python's global lock at every token,
which took half of the time of processing. Outside an entity, the best move at a token does not depend on earlier moves.
So this decoder computes those moves for all tokens in a few matrix products. Only within entities it goes from token to
token, for all entities in parallel.

The weights, the order of the sums and the rules for allowed moves are spaCy's (`ml/parser_model.pyx` and
`pipeline/_parser_internals/ner.pyx`), so the entities are the same.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from spacy.attrs import IS_SPACE
from thinc.api import Ragged

Entity = tuple[int, int, str]
"""Index of the first token, index after the last token, label."""
_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]
_MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64)
_OUT = "O"
PIECES = 2
"""Values of a maxout unit, of which the largest counts."""


class EntityDecoder:
    """Finds the entities that the pipeline's `ner` finds, several times as fast.

    Args:
        ner: a trained `EntityRecognizer` with its own `Tok2Vec`, as in spaCy's packaged models.

    Raises:
        ValueError: the layers of `ner` are not those of spaCy's packaged models.
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
        self._bias = self._lower.get_param("b").reshape(-1)
        self._weights = upper.get_param("W").T
        self._out_bias = upper.get_param("b")
        moves = [ner.moves.get_class_name(number) for number in range(ner.moves.n_moves)]
        self._labels = [move.partition("-")[2] for move in moves]
        self._starts = np.array([move[0] == "B" for move in moves])
        self._units = np.array([move[0] == "U" and move != "U-" for move in moves])
        # For each move that opens an entity, the numbers of the moves that continue and end an entity of its label.
        self._inside = np.array([_find_move(moves, f"I-{label}") for label in self._labels])
        self._last = np.array([_find_move(moves, f"L-{label}") for label in self._labels])
        self._outside = moves.index(_OUT)

    def decode(self, documents: Sequence[Any]) -> Iterator[list[Entity]]:
        """Yield the entities of each document, in order.

        Args:
            documents: tokenised (`spacy.tokens.Doc`); they are not changed.
        """
        lengths = [len(document) for document in documents]
        if not sum(lengths):
            yield from ([] for _ in documents)
            return
        features = self._compute_features(documents, lengths)
        ends = np.cumsum(lengths)
        is_last = np.zeros(len(features) - 1, bool)
        is_last[ends[ends > 0] - 1] = True
        is_space = np.concatenate([document.to_array([IS_SPACE]) for document in documents]) > 0
        entities = self._decode_entities(features, is_last, is_space)
        position = 0
        for end, length in zip(ends, lengths, strict=True):
            in_document = []
            while position < len(entities) and entities[position][0] < end:
                first, after, label = entities[position]
                in_document.append((first - int(end) + length, after - int(end) + length, label))
                position += 1
            yield in_document

    def _compute_features(self, documents: Sequence[Any], lengths: Sequence[int]) -> _Floats:
        """Return the features of each token for each place in the parser's state.

        The state has three places for tokens: the current token, the first token of the open entity, and the token
        before the current one. The shape is (tokens + 1, places, values of the hidden units). Row 0 stands for "no
        token".
        """
        attributes = np.concatenate([document.to_array(self._columns) for document in documents])
        # The first layers see one token alone, so each distinct token goes through them once.
        _, first, index = np.unique((attributes * _MIXERS).sum(axis=1), return_index=True, return_inverse=True)
        distinct = Ragged(attributes[first], np.array([len(first)], "i"))  # type: ignore[arg-type] # NumPy arrays work
        embedded = self._mix.predict(self._hash.predict(distinct)).data[index]
        pieces = np.split(embedded, np.cumsum(lengths)[:-1])
        encoded = self._reduce.predict(self._to_array.predict(self._encode.predict(pieces)))
        features = self._lower.predict(encoded)
        return features.reshape(len(features), features.shape[1], -1)  # type: ignore[no-any-return]

    def _score_moves(self, sums: _Floats) -> _Floats:
        """Return the score of each move, shape (states, moves), from the summed features."""
        sums = sums + self._bias
        hidden = np.maximum(sums[:, ::PIECES], sums[:, 1::PIECES])
        return hidden @ self._weights + self._out_bias  # type: ignore[no-any-return]

    def _decode_entities(
        self, features: _Floats, is_last: npt.NDArray[np.bool_], is_space: npt.NDArray[np.bool_]
    ) -> list[Entity]:
        """Return the entities of all documents, as indices into all tokens."""
        scores = self._score_moves(features[1:, 0] + features[0, 1] + features[0, 2])
        allowed = np.zeros_like(scores, bool)
        allowed[:, self._units] = ~is_space[:, None]
        allowed[:, self._starts] = ~(is_space | is_last)[:, None]
        allowed[:, self._outside] = True
        chosen = np.where(allowed, scores, -np.inf).argmax(axis=1)
        starting = np.flatnonzero(self._starts[chosen])
        after = dict(zip(starting.tolist(), self._find_ends(features, starting, chosen, is_last).tolist(), strict=True))
        entities: list[Entity] = []
        reached = 0
        for token in np.flatnonzero(chosen != self._outside).tolist():
            if token >= reached:  # otherwise the token is inside the previous entity
                reached = after.get(token, token + 1)
                entities.append((token, reached, self._labels[chosen[token]]))
        return entities

    def _find_ends(self, features: _Floats, starting: _Ints, chosen: _Ints, is_last: npt.NDArray[np.bool_]) -> _Ints:
        """Return the index after the last token of each entity, given the index of its first token."""
        ends = np.zeros_like(starting)
        unfinished = np.arange(len(starting))
        token = starting + 1
        while len(unfinished):
            first = starting[unfinished]
            scores = self._score_moves(features[token + 1, 0] + features[first + 1, 1] + features[token, 2])
            rows = np.arange(len(token))
            move = chosen[first]
            continues = (scores[rows, self._inside[move]] >= scores[rows, self._last[move]]) & ~is_last[token]
            ends[unfinished[~continues]] = token[~continues] + 1
            unfinished = unfinished[continues]
            token = token[continues] + 1
        return ends


def _find_move(moves: Sequence[str], name: str) -> int:
    return moves.index(name) if name in moves else -1
