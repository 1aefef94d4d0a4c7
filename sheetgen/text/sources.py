"""Where an equation comes from: the paper of a block, by its name and its place in the model."""

from __future__ import annotations

import re

from sheetgen.trace.tensor import Tensor

ATTENTION = "Vaswani et al. 2017, arXiv:1706.03762, equation 1"
ROPE = "Su et al. 2021, arXiv:2104.09864"
MIXTURE = "Shazeer et al. 2017, arXiv:1701.06538"

# By a pattern of the whole path; the first that fits. What fits none comes from the paper of the model.
SOURCES = [
    (r".*rope[^.]*\..*|.*\b(P_[QK]|P[QK]|[QK]_rot)", ROPE),
    (r".*\b(cycles|slowed)", "Grattafiori et al. 2024, arXiv:2407.21783"),
    (r".*\.router\..*|.*\bexpert_\d+\.(x|weighted)|.*\bmoe", MIXTURE),
    (r".*\b[QK]_norm(_rms)?|.*\bw_[QK](_norm)?", "Henry et al. 2020, arXiv:2010.04245"),
    (r".*\bmask_window", "Beltagy et al. 2020, arXiv:2004.05150"),
    (r".*\bkv_\d+\..*", "Ainslie et al. 2023, arXiv:2305.13245"),
    (r".*\b(KT|scores|scale|masked|pattern(_\w+)?|softmax(_\w+)?|z|concat|W_O|attention|[QKV]|W_[QKV])", ATTENTION),
    (r".*\b(wave|PE)", "Vaswani et al. 2017, arXiv:1706.03762, section 3.5"),
    (r".*\b(gate|W_gate)", "Shazeer 2020, arXiv:2002.05202"),
    (r".*_rms", "Zhang & Sennrich 2019, arXiv:1910.07467"),
    (r".*_(centred|std)", "Ba et al. 2016, arXiv:1607.06450"),
    (r".*\b(mid|out|added|skip_\d)", "He et al. 2015, arXiv:1512.03385"),
]


def source(tensor: Tensor, paper: str) -> str:
    """The paper of a computed or trainable block; that of the model where no other is known."""
    path = str(tensor.path)
    return next((found for pattern, found in SOURCES if re.fullmatch(pattern, path)), paper)
