"""The grammar of the API and the decisions that follow from its answers, all pure.

Who knows a header, a path or a JSON key, or turns facts into a decision, lives here.
Nothing awaits and nothing asks the time or the dice: `now` and `random` are arguments,
and a function is named for the value it answers. cattrs stays in `codec` and
`envelope`. The sandbox never looks in here.
"""
