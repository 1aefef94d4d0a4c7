"""The words of the workbook: what a reader is told about each block. One place, so that a language is one file."""

from __future__ import annotations

from sheetgen.formula import literal
from sheetgen.ops import ATOM, OPS
from sheetgen.tensor import Frame, Tensor

# What a block is called in its title where its path would be long-winded.
TITLES = {
    "P_Q": "P",
    "P_K": "P",
    "PQ": "P·Q",
    "PK": "P·K",
    "KT": "Kᵀ",
    "in_vocabulary": "known?",
    "next_word": "next word",
    "key_position": "key",
    "one_hot_place": "one-hot",
    "mask_window": "window mask",
    "rotary_frequency": "freq",
    "slowed": "slow",
    "next_prob": "its p",
    "frequency": "freq",
    "mask_chunked": "chunked mask",
    "one_hot": "one-hot",
    "vocabulary": "word",
}

# What comes with many blocks, by the end of its name: title and sentence.
ENDINGS = {
    "_rms": ("rms", "Root mean square of each column: the size of the vector."),
    "_mean": ("mean", "Mean of each column, which LayerNorm takes off."),
    "_centred": ("centred", "Each column less its mean."),
    "_std": ("std", "Standard deviation of each column (of the population), with ε under the root."),
    "_ones": ("1", "A row of ones, so that the last column of the next matrix is its bias."),
    "_max": ("max", "Largest number of each column; taken off first, so that EXP cannot overflow."),
    "_exp": ("exp", "Exponentials: all positive; where the mask says −∞, exactly 0."),
    "_sum": ("sum", "Sum of each column, the divisor that makes it add up to 1."),
}

# And by its beginning.
BEGINNINGS = {
    "w_": ("w", "Trainable gain of the norm, one per feature."),
    "b_": ("b", "Trainable shift of the norm, one per feature."),
}

# By the last part of the path: what it is, and why.
SENTENCES = {
    "rope_theta": "Base of RoPE's angles: larger means slower turning, longer reach.",
    "norm_eps": "Added under the root of every norm, so that nothing is divided by 0.",
    "top_k": "How many experts each token is sent to.",
    "attention_chunk_size": "Tokens per chunk: layers with RoPE attend within a chunk only.",
    "words": "The sentence, one word per token. Change a word: choose from the list, everything follows.",
    "in_vocabulary": "✗ marks a word that the vocabulary below does not have: choose one from its list.",
    "tokens": "Token ids: the place of each word in the vocabulary, counted from 0.",
    "vocabulary": "All words that the model knows.",
    "id": "Number of each word of the vocabulary.",
    "W_E": "Embedding table: row by row, the vector of each word.",
    "one_hot": "A 1 in the row of the token's word, 0 elsewhere: it picks one row of W_E.",
    "embed": "The residual stream starts here: each token's vector.",
    "word_embed": "Each token's vector from the table, before anything is added or multiplied.",
    "place": "Number of each position of the table, counted from 0.",
    "W_P": "Table of positions: row by row, the trainable vector of each place.",
    "place_of_token": "Place of each token, counted from 0.",
    "one_hot_place": "A 1 in the row of the token's place: it picks one row of W_P.",
    "place_embed": "The vector of each token's place.",
    "position": "Place of each token (query), counted from 0.",
    "key_position": "Place of each key, counted from 0.",
    "mask": "Causal mask: a query (column) sees itself and earlier keys (rows), so the future stays hidden.",
    "mask_chunked": "Causal mask within chunks: a query sees earlier keys of its own chunk only.",
    "window": "How many keys a query sees, its own included.",
    "mask_window": "Sliding window: a query sees itself and the few keys before it.",
    "turns": "1 for the features that RoPE turns, 0 for those that it leaves as they are.",
    "rotary_frequency": "Speed of each pair; 0 for the features that stay.",
    "cycles": "How often each pair turns round within the context the model was first trained on.",
    "slowed": "Llama 3.1: pairs that turn seldom turn even slower, so that longer contexts fit.",
    "pair": "Which features RoPE turns together: two features with the same number are one pair.",
    "frequency": "How fast each pair turns per position: fast for the first pairs, slow for the last.",
    "angle": "Angle of each pair at each position, in radians.",
    "P": "Signed permutation: turns every pair by 90 degrees.",
    "cos": "Cosines of the angles: what stays of a feature.",
    "sin": "Sines of the angles: what comes over from the feature's partner.",
    "temperature": "Llama 4 sharpens the queries of late tokens on layers without RoPE.",
    "norm_1": "Norm of attention: brings every token's vector to the same size.",
    "norm_2": "Norm of the feed-forward block: brings every token's vector to the same size.",
    "final_norm": "The norm once more, before the head.",
    "W_Q": "Trainable: turns a token into a query.",
    "W_K": "Trainable: turns a token into a key.",
    "W_V": "Trainable: turns a token into a value.",
    "W_O": "Trainable: mixes the heads back into the residual stream.",
    "Q_all": "The queries of all heads at once.",
    "K_all": "The keys of all heads at once.",
    "Q_norm": "Queries at root mean square 1, times a gain where the model has one (QK norm).",
    "K_norm": "Keys at root mean square 1, times a gain where the model has one (QK norm).",
    "Q_raw": "The query before its norm.",
    "K_raw": "The key before its norm.",
    "w_Q": "The gain of the QK norm, shown where it multiplies.",
    "w_K": "The gain of the QK norm, shown where it multiplies.",
    "Q": "Query: what this token looks for.",
    "K": "Key: what this token offers to be found by.",
    "V": "Value: what this token hands over when it is attended to.",
    "P_Q": "The permutation of RoPE, shown where it multiplies.",
    "P_K": "The permutation of RoPE, shown where it multiplies.",
    "PQ": "Each pair of the query turned by 90 degrees: the second half of the rotation.",
    "PK": "Each pair of the key turned by 90 degrees: the second half of the rotation.",
    "Q_rot": "The query, rotated by its position.",
    "K_rot": "The key, rotated by its position: dot products then depend on distance.",
    "Q_temp": "The query, times its temperature.",
    "KT": "The keys, one per row, so that a row of it meets a column of Q.",
    "scores": "How well each key (row) answers each query (column), over √head_dim so that sizes do not grow with it.",
    "masked": "Scores of hidden keys become −∞.",
    "pattern": "Attention: how much each query (column) takes from each key (row); every column sums to 1.",
    "z": "The head's output: values mixed by the pattern.",
    "concat": "The outputs of all heads, one below the other.",
    "attention": "What attention adds to the residual stream.",
    "mid": "Residual stream after attention: input plus what attention adds.",
    "W_gate": "Trainable: one row per hidden unit of the gate.",
    "W_up": "Trainable: one row per hidden unit.",
    "W_down": "Trainable: back to the width of the residual stream.",
    "gate": "Before the curve: how far each hidden unit opens.",
    "up": "What each hidden unit would let through.",
    "h": "Hidden units after the activation.",
    "down": "What this feed-forward block gives back.",
    "W_router": "Trainable: one row per expert.",
    "rank": "Place of each expert for the token: 0 is the best.",
    "chosen": "1 for the top-k experts of the token.",
    "g": "Gate: the weight of each expert for the token, 0 where it is not chosen.",
    "x": "The expert's input: the token's vector times its gate (0 when the expert is not chosen).",
    "p": "Softmax of the router: how much each expert suits the token.",
    "picked": "The weights of the chosen experts, 0 elsewhere.",
    "weighted": "The expert's output times its weight (0 when the expert is not chosen).",
    "moe": "The sum of all experts.",
    "out": "Residual stream after the layer.",
    "W_U": "Trainable head: one row per word of the vocabulary.",
    "logits": "Score of every choice, before softmax or top-k.",
    "probs": "Probability of every word of the vocabulary to come next; every column sums to 1.",
    "next_word": "The most probable next word after this position.",
    "next_prob": "Its probability.",
}


def title(tensor: Tensor) -> str:
    """Short name of a block."""
    return TITLES.get(tensor.name) or _common(tensor.name)[0] or tensor.name


def shape(tensor: Tensor) -> str:
    """Rows × columns: `4×10`."""
    return f"{tensor.rows}×{tensor.columns}"


def sentence(tensor: Tensor) -> str:
    """What the block is and why; empty for a tensor that nobody has described."""
    return SENTENCES.get(tensor.name) or _common(tensor.name)[1]


def _common(name: str) -> tuple[str, str]:
    """Title and sentence of what comes with many blocks; empty for what is told by its own name."""
    if name in SENTENCES:
        return "", ""
    by_end = (texts for end, texts in ENDINGS.items() if name.endswith(end))
    by_start = (texts for start, texts in BEGINNINGS.items() if name.startswith(start))
    return next(by_end, None) or next(by_start, ("", ""))


def equation(tensor: Tensor, frame: Frame | None = None) -> str:
    """The equation over the names of the operands: `SiLU(gate) ⊙ up`."""
    frame = tensor.frame or frame
    names = []
    for operand in tensor.operands:
        if operand.op == "number":
            names.append(literal(float(operand.value[0, 0])))
        elif operand.path is not None:
            names.append(_seen_from(frame, operand))
        else:
            inner = equation(operand, frame)
            names.append(f"({inner})" if OPS[operand.op].binding < OPS[tensor.op].binding != ATOM else inner)
    if tensor.op == "stack":
        return f"[{'; '.join(names if len(names) < 4 else [names[0], '…', names[-1]])}]"
    return OPS[tensor.op].math.format(*names, **tensor.settings)


def _seen_from(frame: Frame | None, operand: Tensor) -> str:
    """Short name of an operand; with its scope (`shared.down`) when it comes from a part inside this frame."""
    scope = f"{frame.path}." if frame and frame.path else ""
    path = str(operand.path)
    inner = path.removeprefix(scope) if scope and path.startswith(scope) else ""
    return inner if "." in inner else title(operand)
