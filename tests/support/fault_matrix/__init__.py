"""Each fault at each step of a call: the answer that the caller must get, and the clouds that prove it.

faults.py    the steps and the faults, by name
expected.py  the answers, by step and fault
cells.py     the cells: one fault at one step, for the first request or the first two
steps.py     brings a call to a step, and finds the requests of the step
run.py       the clouds that run the cells
finding.py   the answers of find_orders, by step and fault
telling.py   what becomes of a follow-up and its ticket, by fault
document.py  the tables of docs/when-things-break.md; finding_document.py and
             telling_document.py those about finding orders, and about tickets
__main__.py  writes them
"""
