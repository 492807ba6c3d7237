"""One list of requests to a Functions host, byte by byte, and the answers of the real one.

app.py        the app (the product, and functions that echo or answer oddly), and the host that serves it
requests.py   the list
exchange.py   sends one of them and reads what comes back
__main__.py   records the real host's answers in tests/samples/functions-host.json
"""
