"""Each fault at each step of a call: the answer that the caller must get, and the clouds that prove it.

faults.py    the steps and the faults, by name
expected.py  the answers, by step and fault
cells.py     the cells: one fault at one step, for the first request or the first two
steps.py     brings a call to a step, and finds the requests of the step
run.py       the clouds that run the cells
telling.py   what becomes of a follow-up and its ticket, by fault
document.py  the tables of docs/when-things-break.md; telling_document.py those about tickets
__main__.py  writes them
"""
