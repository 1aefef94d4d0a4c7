"""The words of the workbook: what a reader is told about each block. One place, so that a language is one file."""

from __future__ import annotations

import re

from sheetgen.base.lang import tr
from sheetgen.base.text import literal
from sheetgen.model.rounding import ENDING
from sheetgen.text.sources import source
from sheetgen.trace.ops import ATOM, OPS
from sheetgen.trace.recorder import Frame
from sheetgen.trace.tensor import Tensor

# What a block is called in its title where its path would be long-winded.
TITLES = {
    "at_once": "in one formula",
    "kept_position": "position kept",
    "cos_exact": "cos(position)",
    "cos_kept": "cos(kept)",
    "same_as_before": "as before?",
    "gelu_exact": "GELU",
    "gelu_tanh": "by tanh",
    "gelu_exact_kept": "GELU kept",
    "gelu_tanh_kept": "by tanh kept",
    "key_wide": "key",
    "key_narrow": "key",
    "mask_wide": "W keys",
    "mask_narrow": "W − 1 keys",
    "keys_wide": "keys",
    "keys_narrow": "keys",
    "pattern_wide": "weights",
    "pattern_narrow": "weights",
    "mean_wide": "mean",
    "mean_narrow": "mean",
    "mean_difference": "difference",
    "gelu_difference": "difference",
    "K_cache": "K cache",
    "V_cache": "V cache",
    "query_position": "position",
    "seen_position": "of keys",
    "prompt_first": "begins at",
    "place_in_prompt": "place",
    "key_prompt": "prompt",
    "same_prompt": "same prompt",
    "mask_packed": "block-diagonal mask",
    "reach_below": "reach",
    "sees_from": "sees from",
    "sees_to": "sees to",
    "sees_from_window": "sees from",
    "sees_to_window": "sees to",
    "sees_from_chunked": "sees from",
    "sees_to_chunked": "sees to",
    "skip_1": "skip",
    "skip_2": "skip",
    "expert_on": "on?",
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
    "next_prob": "probability",
    "frequency": "freq",
    "mask_chunked": "chunked mask",
    "one_hot": "one-hot",
    "is_cosine": "cos?",
    "column_names": "token",
    "label_prob": "its p",
    "vocabulary": "word",
    "XT": "Xᵀ",
    "X_mixed": "X",
    "V_mixed": "V",
    "key_of_block": "key",
    "key_of_selected": "key",
    "block_first": "first",
    "block_last": "last",
    "select_first": "first",
    "in_block": "in block",
    "in_selected": "in block",
    "any_complete": "any",
    "block_positions": "PE",
    "K_blocks": "K blocks",
    "V_blocks": "V blocks",
    "phi_K": "φ",
    "phi_V": "φ",
    "K_cmp": "K̃",
    "V_cmp": "Ṽ",
    "P_K_cmp": "P",
    "PK_cmp": "P·K̃",
    "K_cmp_rot": "K̃_rot",
    "block_scores": "block scores",
    "with_forced": "with forced",
    "block_rank": "rank",
    "chosen_blocks": "chosen",
    "mask_selected": "selected tokens",
    "branch_gates": "g",
    "query": "q",
    "has_block": "has block",
    "key_block_first": "first",
    "mask_blocks": "block mask",
    "W_C_Q": "W_C",
    "W_C_K": "W_C",
    "W_C_V": "W_C",
    "Q_blocks": "Q blocks",
    "Q_cmp": "Q̃",
    "z_blocks": "z of blocks",
    "z_branch": "z",
    "z_gated": "z",
    "three": "sum",
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
    "_full": ("in full", "The same without rounding."),
}

# And by its beginning.
BEGINNINGS = {
    "w_": ("w", "Trainable gain of the norm, one per feature."),
    "b_": ("b", "Trainable shift of the norm, one per feature."),
}

# What the parts of a model are for, by their kind (`theme.Kind`).
PURPOSES = {
    "layer": "Attention mixes tokens, feed-forward works on each; both only add.",
    "attention": "Each token gathers from the others what it looks for.",
    "feed_forward": "Each token by itself: what it has gathered is turned into something new.",
    "other": "Used by every layer.",
}

# What rows and columns count.
AXES = {
    "words": "tokens",
    "encoder.words": "words of the sentence",
    "decoder.words": "words of the translation",
    "column_names": "the class token and the patches",
    "vocabulary": "words of the vocabulary",
    "labels": "labels",
    "place": "places",
    "expert": "experts",
    "d_model": "features of the residual stream",
    "head_dim": "features of a head",
    "d_ff": "hidden units",
}

# Where numbers are more than numbers.
UNITS = {
    "angle": "radians",
    "frequency": "radians per position",
    "rotary_frequency": "radians per position",
    "slowed": "radians per position",
    "position": "tokens, from 0",
    "key_position": "tokens, from 0",
    "window": "tokens",
    "logits": "logit: the logarithm of a probability but for a constant",
    "scores": "logit: the logarithm of a weight but for a constant",
    "pattern": "share of 1",
    "probs": "probability",
    "next_prob": "probability",
    "label_prob": "probability",
}

# Of the switches of single parts, by kind.
SWITCHES = {
    "residuals": "{} on: what goes in is added to what comes out. off: only what comes out goes on.",
    "heads": "{} on: its output counts. off: it is 0 where the heads are put together.",
    "experts": "{} on: its output counts where it is chosen. off: it counts nothing, and no other is chosen instead.",
}

# Of the controls: what they do.
CONTROLS = {
    "causal": "on: a query sees no later key. off: every token sees all (an encoder).",
    "attention_scale": "on: scores are divided by √head_dim. off: they are not, and the softmax saturates.",
    "attention_temperature": "Scores are divided by it: above 1 attention is flatter, below 1 sharper.",
    "output_temperature": "Logits are divided by it before the last softmax: above 1 flatter, below 1 sharper.",
    "subtract_max": "on: the largest is taken off before EXP. off: the same, but EXP of more than 709 overflows.",
    "rope": "on: queries and keys turn by their position. off: all angles are 0, so order is lost.",
    "added_positions": "on: a vector for each position is added to the words at the bottom. off: it is 0.",
    "norm": "rms: divide by the root mean square. layer: take off the mean first. none: divide by 1. Gains stay.",
    "renormalise": "on: the weights of the chosen experts are divided by their sum. off: they stay as they are.",
    "equal_weights": "on: each chosen expert counts 1. off: it counts what the gate says.",
    "gate": "How the router's logits become weights of the experts: softmax over all, or each by itself.",
    "activation": "The curve of the feed-forward block.",
    "gated": "on: curve(gate) ⊙ up. off: curve(up), as in a plain feed-forward block.",
    "position_base": "Base of the wavelengths of the positions: larger means longer waves.",
    "n_select": "How many blocks each query reads in full, forced ones included.",
    "rope_theta": "Base of RoPE's angles: larger means slower turning, longer reach.",
    "norm_eps": "Added under the root of every norm, so that nothing is divided by 0.",
    "top_k": "How many experts each token is sent to.",
    "attention_chunk_size": "Tokens per chunk: a query sees keys of its own chunk only. 0: no chunks.",
    "window": "Sliding window: how many keys a query sees, its own included. 0: all.",
    "precision": "The format that numbers are kept in: bf16 (8 significant bits), fp16 (11 bits, up to 65504) or fp32.",
}

# By the last part of the path: what it is, and why.
SENTENCES = {
    "fraction_bits": "Bits behind the leading 1: so many times may the distance to the next power of 2 be halved.",
    "largest_exponent": "The largest numbers are just below 2 to the power of this, plus one.",
    "smallest": "The smallest number with all its bits; below it the steps get no finer.",
    "beyond": "From here on a number is rounded to infinity; a sheet has none and shows an error.",
    "error": "Rounded less full precision: what rounding has done so far.",
    "relative": "Size of the error, of the size of the vector, column by column.",
    "same": "1 where both are the same.",
    "size": "The number without its sign; at least the smallest that has all its bits.",
    "exponent": "The power of 2 just below it.",
    "step": "From one number that the format can hold to the next: 2 to the power of the exponent, less the bits.",
    "steps": "How many steps the number is.",
    "tie": "1 where it lies just between an even and an odd number of steps: then the even one is taken.",
    "nearest": "The nearest whole number of steps.",
    "kept": "So many steps: what the format keeps of the number.",
    "at_once": "The same in one formula, as --precision writes it into models.",
    "kept_position": "The place as the format keeps it: bf16 has 8 bits, so above 256 only every second number.",
    "cos_exact": "Cosine of the angle that RoPE turns the fastest pair by: 1 radian per place.",
    "cos_kept": "The same for the place that was kept: wrong by up to a whole radian.",
    "same_as_before": "1 where a place has become the one before: attention cannot tell the two apart.",
    "gelu_exact": "GELU by the normal distribution.",
    "gelu_tanh": "GELU by tanh, as GPT-2 and Gemma have it. A checkpoint must be run with its own.",
    "gelu_difference": "How far the two are apart: largest around 2.",
    "gelu_exact_kept": "What the format keeps of the exact one.",
    "gelu_tanh_kept": "What the format keeps of the other: the difference is gone, or has become a whole step.",
    "key_wide": "Place of each key, counted from 0.",
    "key_narrow": "Place of each key, counted from 0.",
    "mask_wide": "1 where a query (column) sees a key (row): W of them, its own included.",
    "mask_narrow": "The same with one key fewer: what a window of W means where the query does not count itself.",
    "keys_wide": "How many keys each query sees.",
    "keys_narrow": "How many keys each query sees.",
    "pattern_wide": "Each visible key with the same weight.",
    "pattern_narrow": "Each visible key with the same weight.",
    "mean_wide": "What attention would give: the mean of the visible values.",
    "mean_narrow": "What attention would give: the mean of the visible values.",
    "mean_difference": "What one key more or less does: nothing early on, everything once the window is full.",
    "slot": "Number of each slot of the cache.",
    "owner": "Which token each slot holds; −1: none yet.",
    "K_cache": "The keys in the cache, one column per slot, in the order of the slots.",
    "V_cache": "The values in the cache, one column per slot.",
    "now": "The token that is read in this step.",
    "here": "1 for the slot that the token is written to: its place modulo the number of slots.",
    "filled": "1 for the slots that hold a token.",
    "k": "The key of this token.",
    "v": "The value of this token.",
    "q": "The query of this token.",
    "difference": "What comes out in pieces less what the whole sentence gives: 0, but for the last digit.",
    "query_position": "Places of the queries of this chunk.",
    "seen_position": "Places of the keys: those still in the cache, then those of the chunk.",
    "prompt": "Number of the prompt that each word belongs to.",
    "prompt_first": "Place at which its prompt begins.",
    "place_in_prompt": "Place of each word within its own prompt: positions begin anew.",
    "key_prompt": "The prompt of each key.",
    "same_prompt": "1 where key (row) and query (column) are of the same prompt: blocks along the diagonal.",
    "mask_packed": "1 where a query sees a key: an earlier word, or itself, of the same prompt.",
    "seen": "How many words each one sees or, further up, has heard of.",
    "reach": "1 where something of the word in the row has come through to the word in the column.",
    "reach_below": "What had come through one layer below.",
    "status": "Where the lecture is. The list of steps shows it, too.",
    "message": "Says which control holds what it may not.",
    "scale": "What the scores are divided by: √head_dim, so that their size does not grow with it.",
    "sees_from": "The first key that each query sees: window and chunk limit it.",
    "sees_to": "The last key that each query sees: its own while the mask is causal.",
    "sees_from_window": "The first key that each query sees on layers with the window.",
    "sees_to_window": "The last key that each query sees on layers with the window.",
    "sees_from_chunked": "The first key that each query sees on layers with chunks.",
    "sees_to_chunked": "The last key that each query sees on layers with chunks.",
    "skip_1": "What went into this part, carried past it: the residual connection.",
    "skip_2": "What went into this part, carried past it: the residual connection.",
    "expert_on": "1 for the experts that are switched on.",
    "words": "The sentence, one word per token. Change a word: choose from the list, everything follows.",
    "in_vocabulary": "✗ marks a word that the vocabulary below does not have: choose one from its list.",
    "tokens": "Token ids: the place of each word in the vocabulary, counted from 0.",
    "vocabulary": "All words that the model knows.",
    "id": "Number of each word of the vocabulary.",
    "W_E": "Embedding table: row by row, the vector of each word.",
    "one_hot": "A 1 in the row of the token's word, 0 elsewhere: it picks one row of W_E.",
    "embed": "The residual stream starts here: each token's vector.",
    "word_embed": "Each token's vector from the table, before anything is added or multiplied.",
    "image": "The picture, a number per pixel: black the smallest, white the largest. Type others; all follows.",
    "column_names": "Name of each column: the class token, then the patches by their row and column. May be edited.",
    "patches": "Each column is a patch of the image, its pixels one below the other, row by row.",
    "W_patch": "Trainable: turns the pixels of a patch into a token; the last column is its bias.",
    "patch_embed": "Each patch as a token.",
    "W_class": "Trainable: the class token, which stands before the patches and gathers what the label needs.",
    "with_class": "The class token and the patches side by side: the tokens.",
    "W_pos": "Trainable: the vector of each place, added so that a token knows where it is.",
    "class_token": "The class token after all layers: the only column that the head reads.",
    "labels": "Names of the classes. May be edited.",
    "W_head": "Trainable head: one row per label; the last column is its bias.",
    "label": "The most probable label.",
    "label_prob": "Its probability.",
    "wave": "Which wave each feature is on: 0 is the shortest; each has a sine and a cosine.",
    "is_cosine": "1 where the feature is the cosine of its wave, 0 where it is the sine.",
    "PE": "Positions as sines and cosines, one column per place; added to the words, so that order counts.",
    "memory": "What the encoder has read: keys and values come from here.",
    "norm": "Norm of cross-attention: brings every token's vector to the same size.",
    "added": "What went in plus what the feed-forward block gives back, before the norm.",
    "b_U": "Trainable: a number per word, added to its score.",
    "place": "Number of each position of the table, counted from 0.",
    "W_P": "Table of positions: row by row, the trainable vector of each place.",
    "place_of_token": "Place of each token, counted from 0.",
    "one_hot_place": "A 1 in the row of the token's place: it picks one row of W_P.",
    "place_embed": "The vector of each token's place.",
    "position": "Place of each token (query), counted from 0.",
    "slow_position": "Positions for RoPE, all divided by the same factor: every pair turns slower.",
    "key_position": "Place of each key, counted from 0.",
    "mask": "Causal mask: a query (column) sees itself and earlier keys (rows), so the future stays hidden.",
    "mask_chunked": "Causal mask within chunks: a query sees earlier keys of its own chunk only.",
    "mask_window": "Sliding window: a query sees itself and the few keys before it.",
    "turns": "1 for the features that RoPE turns, 0 for those that it leaves as they are.",
    "rotary_frequency": "Speed of each pair; 0 for the features that stay.",
    "cycles": "How often each pair turns round within the context the model was first trained on.",
    "slowed": "Llama 3.1: pairs that turn seldom turn even slower, so that longer contexts fit.",
    "pair": "Which features RoPE turns together: two features with the same number are one pair.",
    "frequency": "How fast each pair or wave turns per position: fast for the first, slow for the last.",
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
    "gain_Q": "The gain of the QK norm, shown where it multiplies.",
    "gain_K": "The gain of the QK norm, shown where it multiplies.",
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
    "x": "The input, shown where it is used; that of an expert times its gate (0 when it is not chosen).",
    "p": "Softmax of the router: how much each expert suits the token.",
    "picked": "The weights of the chosen experts, 0 elsewhere.",
    "weighted": "The expert's output times its weight (0 when the expert is not chosen).",
    "moe": "The sum of all experts.",
    "out": "Residual stream after the layer.",
    "W_U": "Trainable head: one row per word of the vocabulary.",
    "logits": "Score of every choice, before softmax or top-k.",
    "probs": "Probability of every word to come next, or of every label; the column sums to 1.",
    "next_word": "The most probable next word after this position.",
    "next_prob": "Its probability.",
    "X": "The tokens' vectors as they come: in step 1 they are queries, keys and values at once.",
    "XT": "The same vectors, one per row, so that a row of it meets a column of X.",
    "X_mixed": "The vectors once more, as what is mixed.",
    "V_mixed": "The values, mixed by the pattern to the right.",
    "block_first": "Place of the first token of each block.",
    "key_of_block": "Place of each token, counted from 0.",
    "in_block": "1 where the token (row) belongs to the block (column); blocks overlap when the stride is shorter.",
    "block_last": "Place of the last token of each block.",
    "complete": "1 where the block (row) has ended when the query (column) comes: only then may it be seen.",
    "any_complete": "1 once a block is complete; before that the compressed branch gives 0.",
    "select_first": "Place of the first token of each block that can be selected.",
    "key_of_selected": "Place of each token, counted from 0.",
    "in_selected": "1 where the token (row) belongs to the block that can be selected (column).",
    "shares": "How many strides a compressed block (column) shares with a block that can be selected (row).",
    "forced": "1 where the query (column) reads the block (row) whatever its score.",
    "K_blocks": "The keys of each block, one below the other: a column is a block.",
    "V_blocks": "The values of each block, one below the other: a column is a block.",
    "Q_blocks": "The queries of each block, one below the other: a column is a block.",
    "has_block": "1 for tokens in a block; tokens left over at the end have 0, and only the slide reads for them.",
    "key_block_first": "Place of the first token of each key block.",
    "mask_blocks": "Causal over blocks: a block of queries (column) sees itself and earlier blocks of keys (rows).",
    "W_C": "Trainable: one Linear for blocks of queries and of keys (and of values); real NSA has none for queries.",
    "W_C_Q": "The one Linear, shown where it multiplies.",
    "W_C_K": "The one Linear, shown where it multiplies.",
    "W_C_V": "The one Linear, shown where it multiplies.",
    "Q_cmp": "Compressed queries: one for each block. The published NSA keeps every query.",
    "three": "The three outputs added. The published NSA compresses keys and values only, and adds by trained gates.",
    "z_branch": "What this branch gives: its values mixed by its pattern.",
    "z_gated": "The head's output: the three branches, each times its gate, added.",
    "z_blocks": "Compressed values, mixed by the small pattern: one column for each block.",
    "block_positions": "Trainable, added by the place within the block: so the order in it is not lost.",
    "phi_K": "Compresses the keys of a block to one key: red if trainable, grey if it is the mean.",
    "phi_V": "Compresses the values of a block to one value: red if trainable, else as for the keys.",
    "K_cmp": "Compressed keys: one for each block.",
    "V_cmp": "Compressed values: one for each block.",
    "P_K_cmp": "The permutation of RoPE, shown where it multiplies.",
    "PK_cmp": "Each pair of the compressed key turned by 90 degrees.",
    "K_cmp_rot": "The compressed key, rotated by the place of the block's first token.",
    "query": "The query, shown where it is compared with the keys.",
    "softmax": "Softmax over the blocks; while none is complete it means nothing and the next step takes it out.",
    "taken": "How much each query takes from each compressed block, added over the heads that share keys.",
    "block_scores": "Score of each block that can be selected: what was taken from the compressed blocks inside it.",
    "with_forced": "Forced blocks get the score +∞ (10⁹), so that they come first.",
    "block_rank": "Place of each block for the query: 0 is the best; of equal ones the first.",
    "chosen_blocks": "1 for the blocks that the query reads in full.",
    "mask_selected": "1 for the tokens (rows) of the chosen blocks that are not later than the query (column).",
    "W_branch": "Trainable: one row per branch (0 compressed, 1 selected, 2 window).",
    "branch_gates": "How far each branch opens, σ between 0 and 1; the three need not sum to 1.",
}


def title(tensor: Tensor) -> str:
    """Short name of a block."""
    if tensor.kind == "control":
        return tensor.name
    if tensor.op == "rounded":
        return f"≈ {title(tensor.operands[0])}"
    return tr(TITLES.get(tensor.name) or _common(tensor.name)[0]) or tensor.name


def part(frame: Frame) -> str:
    """Short name of a part of the model: `Router` for `Router: which expert sees which token`."""
    return re.split(r"[:,] | of the ", frame.title)[0]


def shape(tensor: Tensor) -> str:
    """Rows × columns: `4×10`."""
    return f"{tensor.rows}×{tensor.columns}"


def sentence(tensor: Tensor) -> str:
    """What the block is and why; empty for a tensor that nobody has described."""
    if "what" in tensor.settings:  # a switch of one part of the model
        return tr(SWITCHES[tensor.settings["what"]]).format(tensor.settings["part"])
    if tensor.kind == "control" and tensor.name in CONTROLS:
        return tr(CONTROLS[tensor.name])
    if tensor.op == "rounded":
        return tr(OPS["rounded"].note)
    return tr(SENTENCES.get(tensor.name) or _common(tensor.name)[1])


def note(tensor: Tensor, paper: str) -> str:
    """All that is told of a block: equation, what and why, what its rows and columns are, its unit, its source."""
    told = [f"{tensor.name} = {equation(tensor)}"] if tensor.kind == "computed" else []
    told.append(sentence(tensor))
    axes = [
        f"{way} are {AXES[axis]}" for way, axis in zip(("rows", "columns"), tensor.axes, strict=True) if axis in AXES
    ]
    told += [f"{shape(tensor)}: {', '.join(axes)}."] if axes else []
    told += [f"Unit: {UNITS[tensor.name]}."] if tensor.name in UNITS else []
    told += [f"Source: {source(tensor, paper)}"] if tensor.kind in ("computed", "weight") else []
    return "\n".join(told)


def _common(name: str) -> tuple[str, str]:
    """Title and sentence of what comes with many blocks; empty for what is told by its own name."""
    if name in SENTENCES:
        return "", ""
    by_end = (texts for end, texts in ENDINGS.items() if name.endswith(end))
    by_start = (texts for start, texts in BEGINNINGS.items() if name.startswith(start))
    return next(by_end, None) or next(by_start, ("", ""))


CHOICES = ("when", "positive", "choose")  # in formulas a call of IF; in words they bind weakest


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
            loose = OPS[operand.op].binding < OPS[tensor.op].binding != ATOM or operand.op in CHOICES
            names.append(f"({inner})" if loose else inner)
    if tensor.op == "complaints":
        return "what is wrong with the controls"
    if tensor.op in ("largest", "smallest"):
        return f"{'max' if tensor.op == 'largest' else 'min'}({', '.join(names)})"
    if tensor.op in ("stack", "join"):
        sign = "; " if tensor.op == "stack" else ", "
        return f"[{sign.join(names if len(names) < 4 else [names[0], '…', names[-1]])}]"
    return tr(OPS[tensor.op].math).format(*names, **tensor.settings)


def _seen_from(frame: Frame | None, operand: Tensor) -> str:
    """Short name of an operand; with its scope (`shared.down`) when it comes from a part inside this frame."""
    scope = f"{frame.path}." if frame and frame.path else ""
    path = str(operand.path)
    inner = path.removeprefix(scope) if scope and path.startswith(scope) else ""
    if "." not in inner:
        return title(operand)
    return f"≈ {inner.removesuffix(ENDING)}" if operand.op == "rounded" else inner
