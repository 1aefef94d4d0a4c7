"""The papers that equations come from: each cited in one place. The rows of `blocks` name them."""

from __future__ import annotations

ATTENTION = "Vaswani et al. 2017, arXiv:1706.03762, equation 1"
SINUSOIDS = "Vaswani et al. 2017, arXiv:1706.03762, section 3.5"
ROPE = "Su et al. 2021, arXiv:2104.09864"
QK_NORM = "Henry et al. 2020, arXiv:2010.04245"
GROUPED = "Ainslie et al. 2023, arXiv:2305.13245"
WINDOW = "Beltagy et al. 2020, arXiv:2004.05150"
MIXTURE = "Shazeer et al. 2017, arXiv:1701.06538"
GATED = "Shazeer 2020, arXiv:2002.05202"
RMS_NORM = "Zhang & Sennrich 2019, arXiv:1910.07467"
LAYER_NORM = "Ba et al. 2016, arXiv:1607.06450"
RESIDUAL = "He et al. 2015, arXiv:1512.03385"
