"""What a reader is told: names, sentences, units, sources of blocks; equations; why models differ.

A language is a table beside these English texts (templates/lang). Words that `check` reads back are not here.
"""
