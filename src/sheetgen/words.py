"""The words of the workbook: what a reader is told about each block. One place, so that a language is one file."""

from __future__ import annotations

from sheetgen.formula import literal
from sheetgen.ops import ATOM, OPS
from sheetgen.tensor import Frame, Tensor

# What a block is called in its title where its path would be long-winded.
TITLES = {
    "norm_1_rms": "rms",
    "norm_2_rms": "rms",
    "final_norm_rms": "rms",
    "Q_rms": "rms",
    "K_rms": "rms",
    "P_Q": "P",
    "P_K": "P",
    "PQ": "P·Q",
    "PK": "P·K",
    "KT": "Kᵀ",
    "pattern_max": "max",
    "pattern_exp": "exp",
    "pattern_sum": "sum",
    "probs_max": "max",
    "probs_exp": "exp",
    "probs_sum": "sum",
    "in_vocabulary": "known?",
    "next_word": "next word",
    "next_prob": "its p",
    "key_position": "key",
    "frequency": "freq",
    "mask_chunked": "chunked mask",
    "one_hot": "one-hot",
    "vocabulary": "word",
    "w_norm_1": "w",
    "w_norm_2": "w",
    "w_final_norm": "w",
}

# By the last part of the path: what it is, and why.
SENTENCES = {
    "rope_theta": "Base of RoPE's angles: larger means slower turning, longer reach.",
    "norm_eps": "Added under the root of every RMSNorm, so that nothing is divided by 0.",
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
    "position": "Place of each token (query), counted from 0.",
    "key_position": "Place of each key, counted from 0.",
    "mask": "Causal mask: a query (column) sees itself and earlier keys (rows), so the future stays hidden.",
    "mask_chunked": "Causal mask within chunks: a query sees earlier keys of its own chunk only.",
    "pair": "Which features RoPE turns together: two features with the same number are one pair.",
    "frequency": "How fast each pair turns per position: fast for the first pairs, slow for the last.",
    "angle": "Angle of each pair at each position, in radians.",
    "P": "Signed permutation: turns every pair by 90 degrees.",
    "cos": "Cosines of the angles: what stays of a feature.",
    "sin": "Sines of the angles: what comes over from the feature's partner.",
    "temperature": "Llama 4 sharpens the queries of late tokens on layers without RoPE.",
    "w_norm_1": "Trainable gain of the norm, one per feature.",
    "w_norm_2": "Trainable gain of the norm, one per feature.",
    "w_final_norm": "Trainable gain of the norm, one per feature.",
    "norm_1_rms": "Root mean square of each token's vector: its size.",
    "norm_2_rms": "Root mean square of each token's vector: its size.",
    "final_norm_rms": "Root mean square of each token's vector: its size.",
    "Q_rms": "Root mean square of each query.",
    "K_rms": "Root mean square of each key.",
    "norm_1": "RMSNorm: every token's vector at the same size, before attention.",
    "norm_2": "RMSNorm: every token's vector at the same size, before the feed-forward block.",
    "final_norm": "RMSNorm once more, before the head.",
    "W_Q": "Trainable: turns a token into a query.",
    "W_K": "Trainable: turns a token into a key.",
    "W_V": "Trainable: turns a token into a value.",
    "W_O": "Trainable: mixes the heads back into the residual stream.",
    "Q": "Query: what this token looks for.",
    "K": "Key: what this token offers to be found by.",
    "V": "Value: what this token hands over when it is attended to.",
    "P_Q": "The permutation of RoPE, shown where it multiplies.",
    "P_K": "The permutation of RoPE, shown where it multiplies.",
    "PQ": "Each pair of the query turned by 90 degrees: the second half of the rotation.",
    "PK": "Each pair of the key turned by 90 degrees: the second half of the rotation.",
    "Q_rot": "The query, rotated by its position.",
    "K_rot": "The key, rotated by its position: dot products then depend on distance.",
    "Q_norm": "The rotated query at root mean square 1 (QK norm).",
    "K_norm": "The rotated key at root mean square 1 (QK norm).",
    "Q_temp": "The query, times its temperature.",
    "KT": "The keys, one per row, so that a row of it meets a column of Q.",
    "scores": "How well each key (row) answers each query (column), over √head_dim so that sizes do not grow with it.",
    "masked": "Scores of hidden keys become −∞.",
    "pattern_max": "Largest score of the column; taken off first, so that EXP cannot overflow.",
    "pattern_exp": "Exponentials: all positive, hidden keys exactly 0.",
    "pattern_sum": "Their sum, the divisor of softmax.",
    "pattern": "Attention: how much each query (column) takes from each key (row); every column sums to 1.",
    "z": "The head's output: values mixed by the pattern.",
    "concat": "The outputs of all heads, one below the other.",
    "attention": "What attention adds to the residual stream.",
    "mid": "Residual stream after attention: input plus what attention adds.",
    "W_gate": "Trainable: one row per hidden unit of the gate.",
    "W_up": "Trainable: one row per hidden unit.",
    "W_down": "Trainable: back to the width of the residual stream.",
    "gate": "Before SiLU: how far each hidden unit opens.",
    "up": "What each hidden unit would let through.",
    "h": "Hidden units: SiLU(gate) times up.",
    "down": "What this feed-forward block gives back.",
    "W_router": "Trainable: one row per expert.",
    "rank": "Place of each expert for the token: 0 is the best.",
    "chosen": "1 for the top-k experts of the token.",
    "g": "Gate: σ of the router's logit where the expert is chosen, else 0.",
    "x": "The expert's input: the token's vector times its gate (0 when the expert is not chosen).",
    "moe": "Shared expert plus all routed experts.",
    "out": "Residual stream after the layer.",
    "W_U": "Trainable head: one row per word of the vocabulary.",
    "logits": "Score of every choice, before softmax or top-k.",
    "probs_max": "Largest logit of the column.",
    "probs_exp": "Exponentials of the logits.",
    "probs_sum": "Their sum, the divisor of softmax.",
    "probs": "Probability of every word of the vocabulary to come next; every column sums to 1.",
    "next_word": "The most probable next word after this position.",
    "next_prob": "Its probability.",
}


def title(tensor: Tensor) -> str:
    """Short name of a block."""
    return "1" if tensor.name.endswith("_ones") else TITLES.get(tensor.name, tensor.name)


def shape(tensor: Tensor) -> str:
    """Rows × columns: `4×10`."""
    return f"{tensor.rows}×{tensor.columns}"


def sentence(tensor: Tensor) -> str:
    """What the block is and why; empty for a tensor that nobody has described."""
    return SENTENCES.get(tensor.name, "")


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
