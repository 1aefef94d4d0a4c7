"""How a block looks: its role, the colours and number formats that go with it, themes.

Only looks are decided here: what a block says is in `text`, where it stands in `sheet`.
"""
