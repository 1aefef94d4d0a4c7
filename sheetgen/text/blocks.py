"""What is told of each block, and how its numbers are shown: one table, a row for each name. `entry` finds the row.

What a block *means* to the code (a pattern, the residual stream, what a cache keeps) travels on the tensor as `role`
(`trace.roles`); the equations say it. What a reader is *told* of it stands here, as data: a new name in the equations
is a row here and a line in each language, and no code asks for a block's name to know what it means.

A key is the name of a block: the last part of its path. With a part before it (`kv.K`), the row is about blocks of that
name in parts of that kind, whatever their number; `*_rms` and `w_*` are about what comes with many blocks. What the
most special row leaves empty the next one tells; a colour and a source that none of them has come from the block that
it goes with (`pattern` for `pattern_max`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from sheetgen.text import papers
from sheetgen.trace.tensor import Block, Control

# Groups of blocks that have one colour: the keys of a theme's fills and lines.
Colour = Literal["weight", "constant", "control", "input", "activation", "attention", "gate", "residual", "output"]

# How numbers are shown, where it is not the usual way.
DIGITS = "General"  # whole numbers by their nature, and those of which every digit counts
INFINITE = '[>1000000]"+∞";0.00'  # what may hold 10⁹ for +∞, and no number below 0
ROUNDED = "0.000"  # with one digit more, so that what rounding has done is seen

# Units of several blocks.
PLACES, SPEED, PROBABILITY = "tokens, from 0", "radians per position", "probability"


@dataclass(frozen=True)
class Entry:
    """What is told of a block: a sentence, its title where the name would be long-winded, its unit, the paper.

    colour: of what is computed, where it is not the usual one; number: the format of its numbers, likewise.
    """

    sentence: str = ""
    title: str = ""
    unit: str = ""
    source: str = ""
    colour: Colour | None = None
    number: str = ""


BLOCKS: Mapping[str, Entry] = {
    # --- controls (their path is `control.…`; a switch of one part of the model is told by what it switches) ---------
    "control.causal": Entry("on: a query sees no later key. off: every token sees all (an encoder)."),
    "control.attention_scale": Entry(
        "on: scores are divided by √head_dim. off: they are not, and the softmax saturates."
    ),
    "control.attention_temperature": Entry("Scores are divided by it: above 1 attention is flatter, below 1 sharper."),
    "control.output_temperature": Entry(
        "Logits are divided by it before the last softmax: above 1 flatter, below 1 sharper."
    ),
    "control.subtract_max": Entry(
        "on: the largest is taken off before EXP. off: the same, but EXP of more than 709 overflows."
    ),
    "control.rope": Entry("on: queries and keys turn by their position. off: all angles are 0, so order is lost."),
    "control.added_positions": Entry(
        "on: a vector for each position is added to the words at the bottom. off: it is 0."
    ),
    "control.norm": Entry(
        "rms: divide by the root mean square. layer: take off the mean first. none: divide by 1. Gains stay."
    ),
    "control.renormalise": Entry(
        "on: the weights of the chosen experts are divided by their sum. off: they stay as they are."
    ),
    "control.equal_weights": Entry("on: each chosen expert counts 1. off: it counts what the gate says."),
    "control.gate": Entry(
        "How the router's logits become weights of the experts: softmax over all, or each by itself."
    ),
    "control.activation": Entry("The curve of the feed-forward block."),
    "control.gated": Entry("on: curve(gate) ⊙ up. off: curve(up), as in a plain feed-forward block."),
    "control.position_base": Entry("Base of the wavelengths of the positions: larger means longer waves."),
    "control.n_select": Entry("How many blocks each query reads in full, forced ones included."),
    "control.rope_theta": Entry("Base of RoPE's angles: larger means slower turning, longer reach."),
    "control.norm_eps": Entry("Added under the root of every norm, so that nothing is divided by 0."),
    "control.top_k": Entry("How many experts each token is sent to."),
    "control.attention_chunk_size": Entry("Tokens per chunk: a query sees keys of its own chunk only. 0: no chunks."),
    "control.window": Entry("Sliding window: how many keys a query sees, its own included. 0: all.", unit="tokens"),
    "control.precision": Entry(
        "The format that numbers are kept in: bf16 (8 significant bits), fp16 (11 bits, up to 65504) or fp32."
    ),
    "control.message": Entry("Says which control holds what it may not."),
    "control.residuals": Entry("{} on: what goes in is added to what comes out. off: only what comes out goes on."),
    "control.heads": Entry("{} on: its output counts. off: it is 0 where the heads are put together."),
    "control.experts": Entry(
        "{} on: its output counts where it is chosen. off: it counts nothing, and no other is chosen instead."
    ),
    # --- input -------------------------------------------------------------------------------------------------------
    "words": Entry("The sentence, one word per token. Change a word: choose from the list, everything follows."),
    "in_vocabulary": Entry(
        "✗ marks a word that the vocabulary below does not have: choose one from its list. "
        "✗ the? — it has this one, which differs in case or form: The and the are two words.",
        title="known?",
    ),
    "tokens": Entry("Token ids: the place of each word in the vocabulary, counted from 0."),
    "vocabulary": Entry("All words that the model knows.", title="word"),
    "id": Entry("Number of each word of the vocabulary."),
    "W_E": Entry("Embedding table: row by row, the vector of each word."),
    "one_hot": Entry("A 1 in the row of the token's word, 0 elsewhere: it picks one row of W_E.", title="one-hot"),
    "word_embed": Entry("Each token's vector from the table, before anything is added or multiplied."),
    "embed": Entry("The residual stream starts here: each token's vector.", colour="residual"),
    # --- positions and masks -----------------------------------------------------------------------------------------
    "position": Entry("Place of each token (query), counted from 0.", unit=PLACES),
    "key_position": Entry("Place of each key, counted from 0.", title="key", unit=PLACES, number=DIGITS),
    "place": Entry("Number of each position of the table, counted from 0."),
    "place_of_token": Entry("Place of each token, counted from 0."),
    "one_hot_place": Entry("A 1 in the row of the token's place: it picks one row of W_P.", title="one-hot"),
    "W_P": Entry("Table of positions: row by row, the trainable vector of each place."),
    "place_embed": Entry("The vector of each token's place."),
    "wave": Entry("Which wave each feature is on: 0 is the shortest; each has a sine and a cosine."),
    "is_cosine": Entry("1 where the feature is the cosine of its wave, 0 where it is the sine.", title="cos?"),
    "frequency": Entry(
        "How fast each pair or wave turns per position: fast for the first, slow for the last.",
        title="freq",
        unit=SPEED,
    ),
    "angle": Entry("Angle of each pair at each position, in radians.", unit="radians"),
    "PE": Entry(
        "Positions as sines and cosines, one column per place; added to the words, so that order counts.",
        source=papers.SINUSOIDS,
    ),
    "sees_from": Entry(
        "The first key that each query sees: window and chunk limit it.",
        title="sees from",
        colour="attention",
        number=DIGITS,
    ),
    "sees_to": Entry(
        "The last key that each query sees: its own while the mask is causal.",
        title="sees to",
        colour="attention",
        number=DIGITS,
    ),
    "sees_from_window": Entry(
        "The first key that each query sees on layers with the window.",
        title="sees from",
        colour="attention",
        number=DIGITS,
    ),
    "sees_to_window": Entry(
        "The last key that each query sees on layers with the window.",
        title="sees to",
        colour="attention",
        number=DIGITS,
    ),
    "sees_from_chunked": Entry(
        "The first key that each query sees on layers with chunks.",
        title="sees from",
        colour="attention",
        number=DIGITS,
    ),
    "sees_to_chunked": Entry(
        "The last key that each query sees on layers with chunks.", title="sees to", colour="attention", number=DIGITS
    ),
    "mask": Entry(
        "Causal mask: a query (column) sees itself and earlier keys (rows), so the future stays hidden.",
        colour="attention",
    ),
    "mask_chunked": Entry(
        "Causal mask within chunks: a query sees earlier keys of its own chunk only.",
        title="chunked mask",
        colour="attention",
    ),
    "mask_window": Entry(
        "Sliding window: a query sees itself and the few keys before it.",
        title="window mask",
        source=papers.WINDOW,
        colour="attention",
    ),
    # --- RoPE --------------------------------------------------------------------------------------------------------
    "slow_position": Entry("Positions for RoPE, all divided by the same factor: every pair turns slower."),
    "pair": Entry("Which features RoPE turns together: two features with the same number are one pair."),
    "turns": Entry("1 for the features that RoPE turns, 0 for those that it leaves as they are."),
    "rotary_frequency": Entry("Speed of each pair; 0 for the features that stay.", title="freq", unit=SPEED),
    "cycles": Entry("How often each pair turns round within the context the model was first trained on."),
    "slowed": Entry(
        "Llama 3.1: pairs that turn seldom turn even slower, so that longer contexts fit.", title="slow", unit=SPEED
    ),
    "cos": Entry("Cosines of the angles: what stays of a feature."),
    "sin": Entry("Sines of the angles: what comes over from the feature's partner."),
    "P": Entry("Signed permutation: turns every pair by 90 degrees."),
    "P_Q": Entry("The permutation of RoPE, shown where it multiplies.", title="P", source=papers.ROPE),
    "P_K": Entry("The permutation of RoPE, shown where it multiplies.", title="P", source=papers.ROPE),
    "PQ": Entry(
        "Each pair of the query turned by 90 degrees: the second half of the rotation.", title="P·Q", source=papers.ROPE
    ),
    "PK": Entry(
        "Each pair of the key turned by 90 degrees: the second half of the rotation.", title="P·K", source=papers.ROPE
    ),
    "Q_rot": Entry("The query, rotated by its position.", source=papers.ROPE),
    "K_rot": Entry("The key, rotated by its position: dot products then depend on distance.", source=papers.ROPE),
    "temperature": Entry("Llama 4 sharpens the queries of late tokens on layers without RoPE."),
    "Q_temp": Entry("The query, times its temperature."),
    # --- norms -------------------------------------------------------------------------------------------------------
    "norm_1": Entry("Norm of attention: brings every token's vector to the same size."),
    "norm_2": Entry("Norm of the feed-forward block: brings every token's vector to the same size."),
    "norm": Entry("Norm of cross-attention: brings every token's vector to the same size."),
    "final_norm": Entry("The norm once more, before the head."),
    "*_rms": Entry("Root mean square of each column: the size of the vector.", title="rms", source=papers.RMS_NORM),
    "*_mean": Entry("Mean of each column, which LayerNorm takes off.", title="mean"),
    "*_centred": Entry("Each column less its mean.", title="centred", source=papers.LAYER_NORM),
    "*_std": Entry(
        "Standard deviation of each column (of the population), with ε under the root.",
        title="std",
        source=papers.LAYER_NORM,
    ),
    "w_*": Entry("Trainable gain of the norm, one per feature.", title="w"),
    "b_*": Entry("Trainable shift of the norm, one per feature.", title="b"),
    # --- attention ---------------------------------------------------------------------------------------------------
    "W_Q": Entry("Trainable: turns a token into a query.", source=papers.ATTENTION),
    "W_K": Entry("Trainable: turns a token into a key.", source=papers.ATTENTION),
    "W_V": Entry("Trainable: turns a token into a value.", source=papers.ATTENTION),
    "Q": Entry("Query: what this token looks for.", source=papers.ATTENTION),
    "K": Entry("Key: what this token offers to be found by.", source=papers.ATTENTION),
    "V": Entry("Value: what this token hands over when it is attended to.", source=papers.ATTENTION),
    "kv.W_K": Entry(source=papers.GROUPED),
    "kv.W_V": Entry(source=papers.GROUPED),
    "kv.K": Entry(source=papers.GROUPED),
    "kv.V": Entry(source=papers.GROUPED),
    "kv.K_rms": Entry(source=papers.GROUPED),
    "Q_all": Entry("The queries of all heads at once."),
    "K_all": Entry("The keys of all heads at once."),
    "Q_raw": Entry("The query before its norm."),
    "K_raw": Entry("The key before its norm."),
    "gain_Q": Entry("The gain of the QK norm, shown where it multiplies."),
    "gain_K": Entry("The gain of the QK norm, shown where it multiplies."),
    "Q_norm": Entry(
        "Queries at root mean square 1, times a gain where the model has one (QK norm).", source=papers.QK_NORM
    ),
    "K_norm": Entry(
        "Keys at root mean square 1, times a gain where the model has one (QK norm).", source=papers.QK_NORM
    ),
    "Q_norm_rms": Entry(source=papers.QK_NORM),
    "K_norm_rms": Entry(source=papers.QK_NORM),
    "w_Q_norm": Entry(source=papers.QK_NORM),
    "w_K_norm": Entry(source=papers.QK_NORM),
    "KT": Entry(
        "The keys, one per row, so that a row of it meets a column of Q.",
        title="Kᵀ",
        source=papers.ATTENTION,
        colour="attention",
    ),
    "scale": Entry(
        "What the scores are divided by: √head_dim, so that their size does not grow with it.",
        source=papers.ATTENTION,
        colour="attention",
    ),
    "scores": Entry(
        "How well each key (row) answers each query (column), over √head_dim so that sizes do not grow with it.",
        unit="logit: the logarithm of a weight but for a constant",
        source=papers.ATTENTION,
        colour="attention",
    ),
    "masked": Entry("Scores of hidden keys become −∞.", source=papers.ATTENTION, colour="attention"),
    "pattern": Entry(
        "Attention: how much each query (column) takes from each key (row); every column sums to 1.",
        unit="share of 1",
        source=papers.ATTENTION,
        colour="attention",
    ),
    "pattern_rounded": Entry(source=papers.ATTENTION),
    "*_max": Entry("Largest number of each column; taken off first, so that EXP cannot overflow.", title="max"),
    "*_exp": Entry("Exponentials: all positive; where the mask says −∞, exactly 0.", title="exp"),
    "*_sum": Entry("Sum of each column, the divisor that makes it add up to 1.", title="sum"),
    "z": Entry("The head's output: values mixed by the pattern.", source=papers.ATTENTION),
    "concat": Entry("The outputs of all heads, one below the other.", source=papers.ATTENTION),
    "W_O": Entry("Trainable: mixes the heads back into the residual stream.", source=papers.ATTENTION),
    "attention": Entry("What attention adds to the residual stream.", source=papers.ATTENTION),
    "memory": Entry("What the encoder has read: keys and values come from here."),
    # --- residual stream ---------------------------------------------------------------------------------------------
    "skip_1": Entry(
        "What went into this part, carried past it: the residual connection.",
        title="skip",
        source=papers.RESIDUAL,
        colour="residual",
    ),
    "skip_2": Entry(
        "What went into this part, carried past it: the residual connection.",
        title="skip",
        source=papers.RESIDUAL,
        colour="residual",
    ),
    "mid": Entry(
        "Residual stream after attention: input plus what attention adds.", source=papers.RESIDUAL, colour="residual"
    ),
    "added": Entry(
        "What went in plus what the feed-forward block gives back, before the norm.",
        source=papers.RESIDUAL,
        colour="residual",
    ),
    "out": Entry("Residual stream after the layer.", source=papers.RESIDUAL, colour="residual"),
    # --- feed-forward ------------------------------------------------------------------------------------------------
    "W_gate": Entry("Trainable: one row per hidden unit of the gate.", source=papers.GATED),
    "gate": Entry("Before the curve: how far each hidden unit opens.", source=papers.GATED, colour="gate"),
    "W_up": Entry("Trainable: one row per hidden unit."),
    "up": Entry("What each hidden unit would let through."),
    "h": Entry("Hidden units after the activation."),
    "W_down": Entry("Trainable: back to the width of the residual stream."),
    "down": Entry("What this feed-forward block gives back."),
    "*_ones": Entry("A row of ones, so that the last column of the next matrix is its bias.", title="1"),
    "x": Entry("The input, shown where it is used; that of an expert times its gate (0 when it is not chosen)."),
    # --- mixture of experts ------------------------------------------------------------------------------------------
    "W_router": Entry("Trainable: one row per expert."),
    "expert_on": Entry("1 for the experts that are switched on.", title="on?"),
    "rank": Entry("Place of each expert for the token: 0 is the best.", colour="gate"),
    "chosen": Entry("1 for the top-k experts of the token.", colour="gate"),
    "p": Entry("Softmax of the router: how much each expert suits the token."),
    "picked": Entry("The weights of the chosen experts, 0 elsewhere."),
    "g": Entry("Gate: the weight of each expert for the token, 0 where it is not chosen.", colour="gate"),
    "expert.x": Entry(source=papers.MIXTURE),
    "weighted": Entry("The expert's output times its weight (0 when the expert is not chosen).", source=papers.MIXTURE),
    "moe": Entry("The sum of all experts.", source=papers.MIXTURE),
    # --- output ------------------------------------------------------------------------------------------------------
    "W_U": Entry("Trainable head: one row per word of the vocabulary."),
    "b_U": Entry("Trainable: a number per word, added to its score.", title="b_U"),
    "W_head": Entry("Trainable head: one row per label; the last column is its bias."),
    "logits": Entry(
        "Score of every choice, before softmax or top-k.",
        unit="logit: the logarithm of a probability but for a constant",
        colour="output",
    ),
    "probs": Entry(
        "Probability of every word to come next, or of every label; the column sums to 1.",
        unit=PROBABILITY,
        colour="output",
    ),
    "next_word": Entry("The most probable next word after this position.", title="next word", colour="output"),
    "next_prob": Entry("Its probability.", title="probability", unit=PROBABILITY, colour="output"),
    "labels": Entry("Names of the classes. May be edited."),
    "label": Entry("The most probable label.", colour="output"),
    "label_prob": Entry("Its probability.", title="its p", unit=PROBABILITY, colour="output"),
    # --- vision ------------------------------------------------------------------------------------------------------
    "image": Entry("The picture, a number per pixel: black the smallest, white the largest. Type others; all follows."),
    "column_names": Entry(
        "Name of each column: the class token, then the patches by their row and column. May be edited.", title="token"
    ),
    "patches": Entry("Each column is a patch of the image, its pixels one below the other, row by row."),
    "W_patch": Entry("Trainable: turns the pixels of a patch into a token; the last column is its bias."),
    "patch_embed": Entry("Each patch as a token."),
    "W_class": Entry("Trainable: the class token, which stands before the patches and gathers what the label needs."),
    "with_class": Entry("The class token and the patches side by side: the tokens."),
    "W_pos": Entry("Trainable: the vector of each place, added so that a token knows where it is."),
    "class_token": Entry("The class token after all layers: the only column that the head reads."),
    # --- attention in steps (the preset attention) -------------------------------------------------------------------
    "X": Entry("The tokens' vectors as they come: in step 1 they are queries, keys and values at once."),
    "X_mixed": Entry("The vectors once more, as what is mixed.", title="X"),
    "V_mixed": Entry("The values, mixed by the pattern to the right.", title="V"),
    # --- native sparse attention -------------------------------------------------------------------------------------
    "block_first": Entry("Place of the first token of each block.", title="first"),
    "key_of_block": Entry("Place of each token, counted from 0.", title="key", number=DIGITS),
    "in_block": Entry(
        "1 where the token (row) belongs to the block (column); blocks overlap when the stride is shorter.",
        title="in block",
    ),
    "block_last": Entry("Place of the last token of each block.", title="last", number=DIGITS),
    "complete": Entry(
        "1 where the block (row) has ended when the query (column) comes: only then may it be seen.", colour="attention"
    ),
    "any_complete": Entry(
        "1 once a block is complete; before that the compressed branch gives 0.",
        title="any",
        colour="attention",
        number=DIGITS,
    ),
    "select_first": Entry("Place of the first token of each block that can be selected.", title="first"),
    "key_of_selected": Entry("Place of each token, counted from 0.", title="key", number=DIGITS),
    "in_selected": Entry(
        "1 where the token (row) belongs to the block that can be selected (column).", title="in block"
    ),
    "shares": Entry(
        "How many strides a compressed block (column) shares with a block that can be selected (row).", number=DIGITS
    ),
    "forced": Entry("1 where the query (column) reads the block (row) whatever its score.", number=DIGITS),
    "K_blocks": Entry("The keys of each block, one below the other: a column is a block.", title="K blocks"),
    "V_blocks": Entry("The values of each block, one below the other: a column is a block.", title="V blocks"),
    "Q_blocks": Entry("The queries of each block, one below the other: a column is a block.", title="Q blocks"),
    "block_positions": Entry(
        "Trainable, added by the place within the block: so the order in it is not lost.", title="PE"
    ),
    "phi_K": Entry("Compresses the keys of a block to one key: red if trainable, grey if it is the mean.", title="φ"),
    "phi_V": Entry("Compresses the values of a block to one value: red if trainable, else as for the keys.", title="φ"),
    "K_cmp": Entry("Compressed keys: one for each block.", title="K̃"),
    "V_cmp": Entry("Compressed values: one for each block.", title="Ṽ"),
    "Q_cmp": Entry("Compressed queries: one for each block. The published NSA keeps every query.", title="Q̃"),
    "W_C": Entry(
        "Trainable: one Linear for blocks of queries and of keys (and of values); real NSA has none for queries."
    ),
    "W_C_Q": Entry("The one Linear, shown where it multiplies.", title="W_C"),
    "W_C_K": Entry("The one Linear, shown where it multiplies.", title="W_C"),
    "W_C_V": Entry("The one Linear, shown where it multiplies.", title="W_C"),
    "P_K_cmp": Entry("The permutation of RoPE, shown where it multiplies.", title="P"),
    "PK_cmp": Entry("Each pair of the compressed key turned by 90 degrees.", title="P·K̃"),
    "K_cmp_rot": Entry("The compressed key, rotated by the place of the block's first token.", title="K̃_rot"),
    "query": Entry("The query, shown where it is compared with the keys.", title="q"),
    "softmax": Entry(
        "Softmax over the blocks; while none is complete it means nothing and the next step takes it out.",
        source=papers.ATTENTION,
        colour="attention",
    ),
    "softmax_max": Entry("Largest number of each column; −∞ where nothing is seen."),
    "softmax_rounded": Entry(source=papers.ATTENTION),
    "taken": Entry("How much each query takes from each compressed block, added over the heads that share keys."),
    "block_scores": Entry(
        "Score of each block that can be selected: what was taken from the compressed blocks inside it.",
        title="block scores",
        colour="gate",
    ),
    "with_forced": Entry(
        "Forced blocks get the score +∞ (10⁹), so that they come first.",
        title="with forced",
        colour="gate",
        number=INFINITE,
    ),
    "block_rank": Entry(
        "Place of each block for the query: 0 is the best; of equal ones the first.", title="rank", colour="gate"
    ),
    "chosen_blocks": Entry("1 for the blocks that the query reads in full.", title="chosen", colour="gate"),
    "any_selected": Entry("1 where the query sees a token of the chosen blocks.", number=DIGITS),
    "mask_selected": Entry(
        "1 for the tokens (rows) of the chosen blocks that are not later than the query (column).",
        title="selected tokens",
        colour="attention",
        number=DIGITS,
    ),
    "z_blocks": Entry("Compressed values, mixed by the small pattern: one column for each block.", title="z of blocks"),
    "z_branch": Entry("What this branch gives: its values mixed by its pattern.", title="z"),
    "W_branch": Entry("Trainable: one row per branch (0 compressed, 1 selected, 2 window)."),
    "branch_gates": Entry(
        "How far each branch opens, σ between 0 and 1; the three need not sum to 1.", title="g", colour="gate"
    ),
    "z_gated": Entry("The head's output: the three branches, each times its gate, added.", title="z"),
    "has_block": Entry(
        "1 for tokens in a block; tokens left over at the end have 0, and only the slide reads for them.",
        title="has block",
    ),
    "key_block_first": Entry("Place of the first token of each key block.", title="first", number=DIGITS),
    "mask_blocks": Entry(
        "Causal over blocks: a block of queries (column) sees itself and earlier blocks of keys (rows).",
        title="block mask",
        colour="attention",
    ),
    "three": Entry(
        "The three outputs added. The published NSA compresses keys and values only, and adds by trained gates.",
        title="sum",
    ),
    # --- caches and prompts ------------------------------------------------------------------------------------------
    "slot": Entry("Number of each slot of the cache."),
    "owner": Entry("Which token each slot holds; −1: none yet.", number=DIGITS),
    "K_cache": Entry("The keys in the cache, one column per slot, in the order of the slots.", title="K cache"),
    "V_cache": Entry("The values in the cache, one column per slot.", title="V cache"),
    "now": Entry("The token that is read in this step.", number=DIGITS),
    "here": Entry("1 for the slot that the token is written to: its place modulo the number of slots."),
    "filled": Entry("1 for the slots that hold a token."),
    "q": Entry("The query of this token."),
    "k": Entry("The key of this token."),
    "v": Entry("The value of this token."),
    "query_position": Entry("Places of the queries of this chunk.", title="position", number=DIGITS),
    "seen_position": Entry(
        "Places of the keys: those still in the cache, then those of the chunk.", title="of keys", number=DIGITS
    ),
    "difference": Entry("What comes out in pieces less what the whole sentence gives: 0, but for the last digit."),
    "prompt": Entry("Number of the prompt that each word belongs to."),
    "prompt_first": Entry("Place at which its prompt begins.", title="begins at"),
    "place_in_prompt": Entry(
        "Place of each word within its own prompt: positions begin anew.", title="place", number=DIGITS
    ),
    "key_prompt": Entry("The prompt of each key.", title="prompt"),
    "same_prompt": Entry(
        "1 where key (row) and query (column) are of the same prompt: blocks along the diagonal.", title="same prompt"
    ),
    "mask_packed": Entry(
        "1 where a query sees a key: an earlier word, or itself, of the same prompt.", title="block-diagonal mask"
    ),
    "seen": Entry("How many words each one sees or, further up, has heard of.", number=DIGITS),
    "reach": Entry("1 where something of the word in the row has come through to the word in the column."),
    "reach_below": Entry("What had come through one layer below.", title="reach"),
    # --- lectures ----------------------------------------------------------------------------------------------------
    "status": Entry("Where the lecture is. The list of steps shows it, too."),
    # --- number formats ----------------------------------------------------------------------------------------------
    "fraction_bits": Entry(
        "Bits behind the leading 1: so many times may the distance to the next power of 2 be halved.", number=DIGITS
    ),
    "largest_exponent": Entry("The largest numbers are just below 2 to the power of this, plus one.", number=DIGITS),
    "smallest": Entry("The smallest number with all its bits; below it the steps get no finer.", number="0E+0"),
    "beyond": Entry(
        "From here on a number is rounded to infinity; a sheet has none and shows an error.", number="0E+0"
    ),
    "error": Entry("Rounded less full precision: what rounding has done so far.", number=ROUNDED),
    "relative": Entry("Size of the error, of the size of the vector, column by column.", number="0.0%"),
    "same": Entry("1 where both are the same."),
    "*_full": Entry("The same without rounding.", title="in full", colour="activation"),
    "size": Entry("The number without its sign; at least the smallest that has all its bits.", number=DIGITS),
    "exponent": Entry("The power of 2 just below it.", number=DIGITS),
    "step": Entry(
        "From one number that the format can hold to the next: 2 to the power of the exponent, less the bits.",
        number=DIGITS,
    ),
    "steps": Entry("How many steps the number is.", number=DIGITS),
    "tie": Entry("1 where it lies just between an even and an odd number of steps: then the even one is taken."),
    "nearest": Entry("The nearest whole number of steps.", number=DIGITS),
    "kept": Entry("So many steps: what the format keeps of the number.", number=DIGITS),
    "at_once": Entry(
        "The same in one formula, as --precision writes it into models.", title="in one formula", number=DIGITS
    ),
    "kept_position": Entry(
        "The place as the format keeps it: bf16 has 8 bits, so above 256 only every second number.",
        title="position kept",
        number=DIGITS,
    ),
    "cos_exact": Entry(
        "Cosine of the angle that RoPE turns the fastest pair by: 1 radian per place.", title="cos(position)"
    ),
    "cos_kept": Entry("The same for the place that was kept: wrong by up to a whole radian.", title="cos(kept)"),
    "same_as_before": Entry(
        "1 where a place has become the one before: attention cannot tell the two apart.", title="as before?"
    ),
    "gelu_exact": Entry("GELU by the normal distribution.", title="GELU", number=DIGITS),
    "gelu_tanh": Entry(
        "GELU by tanh, as GPT-2 and Gemma have it. A checkpoint must be run with its own.",
        title="by tanh",
        number=DIGITS,
    ),
    "gelu_difference": Entry("How far the two are apart: largest around 2.", title="difference", number=DIGITS),
    "gelu_exact_kept": Entry("What the format keeps of the exact one.", title="GELU kept", number=DIGITS),
    "gelu_tanh_kept": Entry(
        "What the format keeps of the other: the difference is gone, or has become a whole step.",
        title="by tanh kept",
        number=DIGITS,
    ),
    "key_wide": Entry("Place of each key, counted from 0.", title="key", number=DIGITS),
    "key_narrow": Entry("Place of each key, counted from 0.", title="key", number=DIGITS),
    "mask_wide": Entry("1 where a query (column) sees a key (row): W of them, its own included.", title="W keys"),
    "mask_narrow": Entry(
        "The same with one key fewer: what a window of W means where the query does not count itself.",
        title="W − 1 keys",
    ),
    "keys_wide": Entry("How many keys each query sees.", title="keys", number=DIGITS),
    "keys_narrow": Entry("How many keys each query sees.", title="keys", number=DIGITS),
    "pattern_wide": Entry("Each visible key with the same weight.", title="weights", source=papers.ATTENTION),
    "pattern_narrow": Entry("Each visible key with the same weight.", title="weights", source=papers.ATTENTION),
    "mean_wide": Entry("What attention would give: the mean of the visible values.", title="mean"),
    "mean_narrow": Entry("What attention would give: the mean of the visible values.", title="mean"),
    "mean_difference": Entry(
        "What one key more or less does: nothing early on, everything once the window is full.", title="difference"
    ),
}

# Where the blocks of a part come from that have no source of their own.
SOURCES_OF_PARTS = {"rope": papers.ROPE, "rope_blocks": papers.ROPE, "router": papers.MIXTURE, "kv": papers.GROUPED}

# What the parts of a model are for, by their kind (`look.roles.FrameKind`).
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


def entry(tensor: Block) -> Entry:
    """All that is told of a block; of a switch of one part of the model, what all switches of its kind are told."""
    parts, name = _found_by(tensor)
    told = _told(parts[-1], name)
    of_part = next((SOURCES_OF_PARTS[part] for part in reversed(parts) if part in SOURCES_OF_PARTS), "")
    return told if told.source or not of_part else replace(told, source=of_part)


def keys_of(tensor: Block) -> list[str]:
    """The rows that tell of a block, the most special one first."""
    parts, name = _found_by(tensor)
    return _keys(parts[-1], name)


def _found_by(tensor: Block) -> tuple[list[str], str]:
    """What the rows of a block are found by: the kinds of the parts that it is in, outer before inner, and its name."""
    *scopes, name = tensor.path.split(".")
    what = tensor.what if isinstance(tensor, Control) else ""
    return ["", *(re.sub(r"_\d+$", "", scope) for scope in scopes)], what or name


def _keys(part: str, name: str) -> list[str]:
    own = [key for key in (f"{part}.{name}", name) if key in BLOCKS]
    return own + [key for key, pattern in _PATTERNS.items() if pattern.fullmatch(name)]


@functools.cache
def _told(part: str, name: str) -> Entry:
    """The rows of a block as one."""
    rows = [BLOCKS[key] for key in _keys(part, name)]
    ends = [key[1:] for key in _PATTERNS if key.startswith("*") and name.endswith(key[1:])]
    rows += [
        Entry(source=row.source, colour=row.colour) for row in (_told(part, name.removesuffix(end)) for end in ends)
    ]
    return functools.reduce(_filled, rows, Entry())


def _filled(row: Entry, other: Entry) -> Entry:
    """The row, with the other's words where it has none."""
    return Entry(**{field.name: getattr(row, field.name) or getattr(other, field.name) for field in fields(Entry)})


# The names that a key with a star stands for.
_PATTERNS = {key: re.compile(key.replace("*", "(.+)")) for key in BLOCKS if "*" in key}
